// What is in the admin database, and what must hold there at every quiet moment.

import assert from 'node:assert/strict';

import { asSets, counters, plain, recount, sameDocument } from './compare.mjs';
import { eventually } from './processes.mjs';
import { ORG_TYPES, orgLists, withAncestors } from './seed.mjs';

/** The checks, with firebase-admin's Firestore `db`. */
export function checksOn(db) {
  /** A collection, by document ID. */
  async function collectionOf(path) {
    const snapshot = await db.collection(path).get();
    return Object.fromEntries(snapshot.docs.map((each) => [each.id, each.data()]));
  }

  const documentAt = async (path) => (await db.doc(path).get()).data();

  /** All assignments of an administration, by user. */
  async function assignmentsOf(administration) {
    const snapshot = await db.collectionGroup('assignments').where('id', '==', administration).get();
    return Object.fromEntries(snapshot.docs.map((each) => [each.ref.parent.parent.id, each.data()]));
  }

  /** The counts of an administration, in the form of a recount. */
  const countsOf = async (administration) => counters(await collectionOf(`administrations/${administration}/stats`));

  /** Every count equals the recount over all assignments. */
  async function countsAgree(administration) {
    const assignments = Object.values(await assignmentsOf(administration));
    sameDocument(`administrations/${administration}/stats`, await countsOf(administration), recount(assignments));
  }

  /** Every user's lists, and the dates beside them, name what the user has. */
  async function listsAgree(administration) {
    const assignments = await assignmentsOf(administration);
    const users = await collectionOf('users');
    for (const [user, fields] of Object.entries(users)) {
      const assignment = assignments[user];
      for (const [list, dates, holds] of [
        ['assigned', 'assignmentsAssigned', assignment !== undefined],
        ['started', 'assignmentsStarted', assignment?.started === true],
        ['completed', 'assignmentsCompleted', assignment?.completed === true],
      ]) {
        const ids = (fields.assignments?.[list] ?? []).filter((each) => each === administration);
        sameDocument(`users/${user} assignments.${list}`, ids, holds ? [administration] : []);
        const date = fields[dates]?.[administration];
        assert.equal(date !== undefined, holds, `users/${user} ${dates} ${holds ? 'lacks' : 'still has'} ${administration}`);
        if (holds) assert.equal(typeof date.toDate, 'function', `users/${user} ${dates} has no timestamp`);
        if (list === 'assigned' && holds) {
          sameDocument(`users/${user} ${dates}`, date, assignment.dateAssigned);
        }
      }
    }
  }

  /** No work is left undone. */
  async function tasksAreDone() {
    const left = await db.collection('functionTasks').get();
    assert.equal(left.size, 0, `tasks are left: ${left.docs.map((each) => each.id).join(', ')}`);
  }

  async function isSynced(administration) {
    const { syncStatus, syncErrorMessage } = await documentAt(`administrations/${administration}`);
    assert.equal(syncStatus, 'complete', `administrations/${administration}: ${syncStatus} ${syncErrorMessage ?? ''}`);
  }

  /** Waits until the given holds, and everything that must hold always. */
  const settled = (administration, what, ...probes) =>
    eventually(what, async () => {
      for (const probe of [...probes, countsAgree, listsAgree, tasksAreDone]) await probe(administration);
    });

  /** The subcollections of an administration list its orgs: those assigned, and those whose admins read. */
  async function subcollectionsAre(id, assigned, read) {
    const administration = await documentAt(`administrations/${id}`);
    for (const [name, orgs] of [['assignedOrgs', assigned], ['readOrgs', read]]) {
      const path = `administrations/${id}/${name}`;
      const stored = await collectionOf(path);
      sameDocument(path, Object.keys(stored).sort(), Object.values(orgs).flat().sort());
      for (const type of ORG_TYPES) {
        for (const org of orgs[type]) {
          const { administrationId, orgId, orgType, dateClosed, dateOpened, dateCreated, createdBy, testData, timestamp, ...rest } =
            stored[org];
          sameDocument(
            `${path}/${org}`,
            { administrationId, orgId, orgType, dateClosed, dateOpened, dateCreated, createdBy, testData, name: rest.name },
            {
              administrationId: id,
              orgId: org,
              orgType: type,
              dateClosed: administration.dateClosed,
              dateOpened: administration.dateOpened,
              dateCreated: administration.dateCreated,
              createdBy: administration.createdBy,
              testData: false,
              name: administration.name,
            },
          );
          assert.equal(typeof timestamp?.toDate, 'function', `${path}/${org} has no timestamp`);
        }
      }
    }
  }

  async function nothingIsLeftOf(administration) {
    assert.deepEqual(Object.keys(await assignmentsOf(administration)), [], 'assignments are left');
    for (const name of ['stats', 'assignedOrgs', 'readOrgs']) {
      const path = `administrations/${administration}/${name}`;
      assert.deepEqual(Object.keys(await collectionOf(path)), [], `${path} has documents left`);
    }
    for (const [user, fields] of Object.entries(await collectionOf('users'))) {
      const traces = JSON.stringify(plain([
        fields.assignments ?? {}, fields.assignmentsAssigned ?? {}, fields.assignmentsStarted ?? {},
        fields.assignmentsCompleted ?? {}, fields.adminData ?? {},
      ]));
      assert.ok(!traces.includes(administration), `users/${user} still names it: ${traces}`);
    }
  }

  return {
    collectionOf, documentAt, assignmentsOf, countsOf, tasksAreDone, isSynced, settled, subcollectionsAre, nothingIsLeftOf,
  };
}

/** The orgs of a list that a user is in. */
export function memberships(user, orgs) {
  return orgLists(
    Object.fromEntries(ORG_TYPES.map((type) => [type, user[type].current.filter((org) => orgs[type].includes(org))])),
  );
}

/**
 * A new assignment as it should be: of the administration's document, for a user in some of its orgs (all
 * of them, not the top-most only), with these tasks. Compare with `comparable`.
 */
export function expectedAssignment(id, administration, orgs, user, assessments) {
  const { dateOpened, dateClosed, dateCreated, createdBy, name, publicName, sequential, legal } = administration;
  const assigningOrgs = memberships(user, orgs);
  return {
    id,
    started: false,
    completed: false,
    dateOpened,
    dateClosed,
    dateCreated,
    createdBy,
    name,
    publicName,
    sequential,
    legal,
    assigningOrgs: asSets(assigningOrgs),
    readOrgs: asSets(withAncestors(assigningOrgs)),
    assessments,
    progress: Object.fromEntries(assessments.map(({ taskId }) => [taskId.replaceAll('-', '_'), 'assigned'])),
    userData: {
      ...user.studentData,
      // The service adds it to whoever comes without; all students are in kindergarten to grade 5.
      schoolLevel: 'elementary',
      name: user.name,
      assessmentPid: user.assessmentPid,
      assessmentUid: user.assessmentUid,
      email: user.email,
      username: user.username,
    },
    testData: false,
    demoData: false,
  };
}

/** An assignment, to be compared: without what only the server knows. */
export function comparable(assignment) {
  const { dateAssigned, lastSyncedFromAdministration, counted, conditionFields, ...rest } = assignment;
  return { ...rest, assigningOrgs: asSets(rest.assigningOrgs), readOrgs: asSets(rest.readOrgs) };
}
