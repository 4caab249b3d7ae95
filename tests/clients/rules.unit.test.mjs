// The security rules of both databases, case by case: what is the backend's alone, for everybody and by every way; and
// what clients must be able to do. The rules are the repository's, or those that ROAR_RULES (admin database) and
// ROAR_ASSESSMENT_RULES name: rules that were merged with others, say (docs/rules.md).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import {
  arrayUnion, collection, collectionGroup, doc, getDoc, getDocs, increment, limit, orderBy, query, runTransaction,
  serverTimestamp, setDoc, updateDoc, where, writeBatch,
} from 'firebase/firestore';

import { repository } from './support/projects.mjs';
import {
  ADMINISTRATION, ASSIGNMENT, claimsOf, DOCUMENTS, lists, ORGS, RUN, TRIAL, TYPES, USER,
} from './support/rules-documents.mjs';
import { begun } from './support/rules-large.mjs';
import { EVERYBODY, listGroup, mismatches, openRules, OPERATIONS, SIGNED_IN } from './support/rules.mjs';

// Enough to try what is closed to all.
const ROLES = ['signedOut', 'student', 'admin', 'superAdmin'];

// What only the backend writes: a document of each collection, and who may do what to it; nobody, where nothing is said.
const reads = (...who) => ({ get: who, list: who });
const ADMINS = ['admin', 'superAdmin'];
const CLOSED = {
  admin: {
    'userClaims/uid-student': { get: ['student'] },
    'userClaims/uid-superAdmin': { get: ['superAdmin'] },
    'claimsAudit/x': {},
    'administrations/fall/stats/total': { get: ADMINS, list: ['superAdmin'], delete: ['superAdmin'] },
    'administrations/fall/stats/f1': { get: ['parent', 'superAdmin'], list: ['superAdmin'], delete: ['superAdmin'] },
    'administrations/fall/assignedOrgs/d1': reads(...ADMINS, 'parent'),
    'administrations/fall/readOrgs/d1': { ...reads(...ADMINS, 'parent'), delete: ['superAdmin'] },
    'administrationSyncs/fall': {},
    'administrationSyncs/fall/progress/1': {},
    'administrationSyncs/fall/usersToFollow/student': {},
    'functionTasks/x': {},
    'processedEvents/x': {},
    'requestIds/x': {},
    'identityProviderIds/x': {},
    'rosteringPartners/x': reads('superAdmin'),
    'rosteringRuns/x': reads('superAdmin'),
    'rosteringRuns/x/stats/user__created': reads('superAdmin'),
    'rosteringRuns/x/entityStatus/user__x': reads('superAdmin'),
    'rosteringRuns/x/events/unenroll__x': reads('superAdmin'),
    'users/student/externalData/clever': reads('student', 'parent', ...ADMINS),
    'deleted-users/student': {},
    'deleted-users/student/deleted-assignments/fall': {},
    'deleted-users/student/deleted-externalData/clever': {},
  },
  assessment: {
    'userClaims/uid-student': {},
    'userClaims/uid-superAdmin': {},
    ...Object.fromEntries(TYPES.map((type) => [`${type}/x`, {}])),
    'deleted-users/student': {},
    'deleted-users/student/deleted-runs/r1': {},
    'deleted-users/student/deleted-runs/r1/deleted-trials/t1': {},
    'deleted-guests/x': {},
    'deleted-guests/x/deleted-runs/r1': {},
    'deleted-guests/x/deleted-runs/r1/deleted-trials/t1': {},
  },
};

// Collections that no rule names, wherever they are.
const UNNAMED = {
  admin: [
    'unnamed/x', 'unnamed/x/stats/total', 'users/student/unnamed/x', 'users/student/stats/total',
    'users/student/assignments/fall/unnamed/x', 'administrations/fall/unnamed/x', 'administrations/fall/stats/total/stats/total',
    'districts/d1/unnamed/x', 'guests/uid-student', 'runs/r1',
  ],
  assessment: [
    'unnamed/x', 'users/student/unnamed/x', 'users/student/assignments/fall', 'users/student/runs/r1/unnamed/x',
    'users/student/runs/r1/trials/t1/unnamed/x', 'guests/uid-student/unnamed/x', 'tasks/swr/unnamed/x', 'administrations/fall',
    'functionTasks/x', 'runs/r1', 'trials/t1',
  ],
};

// Collections across all their parents, and who may list them without a condition.
const GROUPS = {
  admin: {
    assignments: ['superAdmin'],
    ...Object.fromEntries([
      'stats', 'assignedOrgs', 'readOrgs', 'externalData', 'progress', 'usersToFollow', 'entityStatus', 'events', 'users',
      'userClaims', 'administrations', 'runs', 'trials', 'deleted-users', 'deleted-assignments', 'deleted-externalData',
    ].map((name) => [name, []])),
  },
  assessment: {
    variants: SIGNED_IN,
    ...Object.fromEntries([
      'runs', 'trials', 'users', 'guests', 'userClaims', 'tasks', 'assignments', 'stats', 'deleted-users', 'deleted-runs',
      'deleted-trials', 'deleted-guests',
    ].map((name) => [name, []])),
  },
};

// Fields that only the backend writes, of documents that clients write too; refused to everybody.
const KEPT = {
  admin: {
    'users/student': [
      'archived', 'assessmentUid', 'userType', 'assignments', 'assignmentsAssigned', 'assignmentsStarted',
      'assignmentsCompleted', 'formerAssignments', 'studentDataBefore', 'emailKey', 'importedIdentity', 'mergedInto',
      'mergingInto', 'mergedFrom', 'email', 'username', 'assessmentPid', 'studentData.state_id', ...TYPES,
    ],
    'users/admin': ['archived', 'assessmentUid', 'userType', 'adminData.permissions'],
    'users/student/assignments/fall': [
      'id', 'assigningOrgs', 'readOrgs', 'counted', 'conditionFields', 'userData', 'testData', 'dateOpened', 'dateClosed',
    ],
    'administrations/fall': ['readOrgs', 'syncStatus', 'syncChunksTotal', 'syncChunksCompleted', 'syncErrorMessage', 'syncProblems'],
    ...Object.fromEntries(TYPES.map((type) => [`${type}/${type[0]}1`, [
      'id', 'roster', 'rosterClaimsDue', 'archivedSchools', 'archivedClasses', 'archivedSubGroups', 'districtContact',
      'currentActivationCode', 'validActivationCodes',
    ]])),
  },
  assessment: {
    'users/student': ['userType', 'assessmentPid', 'assessmentUid', 'archived', 'schoolLevel', 'createdAt', 'roarUid', ...TYPES],
    'users/student/runs/r1': [
      'bestRun', 'cloudSyncTimestamp', 'id', 'assignmentId', 'taskId', 'taskVersion', 'assigningOrgs', 'readOrgs',
      'userData', 'timeStarted',
    ],
    'guests/uid-student': ['userType'],
    'guests/uid-student/runs/r1': ['bestRun', 'cloudSyncTimestamp'],
  },
};

const rules = {};

before(async () => {
  for (const name of ['admin', 'assessment']) {
    rules[name] = await openRules(name);
    const closed = Object.keys(CLOSED[name]).filter((path) => !(path in DOCUMENTS[name]));
    await rules[name].seed({ ...Object.fromEntries(closed.map((path) => [path, { seeded: true }])), ...DOCUMENTS[name] });
  }
});

after(async () => {
  for (const each of Object.values(rules)) await each.close();
});

const none = async (cases) => assert.deepEqual(await mismatches(cases), []);

/** Somebody does it: allowed to those named, refused to everybody else. */
const only = (name, allowed, attempt) =>
  none([...new Set([...EVERYBODY, ...allowed])].map((who) => ({
    what: who, allowed: allowed.includes(who), attempt: () => attempt(rules[name].db[who], who),
  })));

for (const name of ['admin', 'assessment']) {
  describe(`${name} database: the backend's alone`, () => {
    const cases = (path, operations, people, allowed) =>
      operations.flatMap((operation) => people.map((who) => ({
        what: `${operation} by ${who}`,
        allowed: (allowed[operation] ?? []).includes(who),
        attempt: () => OPERATIONS[operation](rules[name].db[who], path, who),
      })));

    for (const [path, allowed] of Object.entries(CLOSED[name])) {
      const people = Object.keys(allowed).length > 0 ? EVERYBODY : ROLES;
      test(path, () => none(cases(path, Object.keys(OPERATIONS), people, allowed)));
    }

    for (const path of UNNAMED[name]) {
      test(path, () => none(cases(path, ['get', 'create'], ROLES, {})));
    }

    test('collections across all their parents', async () => {
      await none(Object.entries(GROUPS[name]).flatMap(([group, allowed]) => ROLES.map((who) => ({
        what: `${group} by ${who}`,
        allowed: allowed.includes(who),
        attempt: () => listGroup(rules[name].db[who], group),
      }))));
    });

    for (const [path, fields] of Object.entries(KEPT[name])) {
      test(`fields of ${path}`, () =>
        none(fields.flatMap((field) => ['student', 'admin', 'superAdmin'].map((who) => ({
          what: `${field} by ${who}`,
          allowed: false,
          attempt: () => updateDoc(doc(rules[name].db[who], path), { [field]: 'changed' }),
        })))));
    }

    test('claims, whoever they are of', () =>
      only(name, [], (db, who) => setDoc(doc(db, `userClaims/uid-${who}`), claimsOf(who, { super_admin: true }))));
  });
}

test('every archive that functions write is among the collections that are tried', () => {
  const table = readFileSync(join(repository, 'src/functions.rs'), 'utf8');
  const archives = [...table.matchAll(/archives_(admin|assessment)\(\s*"([^"]+)"/g)];
  assert.ok(archives.length >= 9, 'the table of functions is written otherwise');
  const shape = (path) => path.split('/').filter((_, index) => index % 2 === 0).join('/');
  for (const [, name, pattern] of archives) {
    const archive = shape(pattern).split('/').map((collection) => `deleted-${collection}`).join('/');
    assert.ok(Object.keys(CLOSED[name]).map(shape).includes(archive), `${name}: ${archive}`);
  }
});

describe('admin database: what clients do', () => {
  const MINE = 'users/student/assignments/fall';
  const assignees = ['student', 'parent', ...ADMINS];
  const assessments = [{ ...ASSIGNMENT.assessments[0], startedOn: new Date() }];

  test('a student works on an assignment', async () => {
    await only('admin', assignees, (db) => getDoc(doc(db, MINE)));
    await only('admin', assignees, (db, who) => updateDoc(doc(db, MINE), { assessments: [{ ...assessments[0], completedOn: new Date(), rewardShown: who !== '' }], started: true }));
    await only('admin', [], (db) => updateDoc(doc(db, MINE), { assessments: [...assessments, ...assessments] }));
    await only('admin', [], (db) => updateDoc(doc(db, MINE), { started: 'yes' }));
    await only('admin', [], (db) => setDoc(doc(db, 'users/student/assignments/made-up'), ASSIGNMENT));
    await only('admin', [], (db) => OPERATIONS.delete(db, MINE));
  });

  // The page's transaction is outdated then, and is begun anew: unless rules refuse it before the database looks.
  test('a student completes a task while the service notes a run', async () => {
    const [entry] = assessments;
    const work = (noted) => ({ [MINE]: { ...ASSIGNMENT, started: true, assessments: [{ ...entry, ...noted }] } });
    const first = { runId: 'r1', allRunIds: ['r1'] };
    const second = { runId: 'r2', allRunIds: ['r2', 'r1'] };
    for (const [known, noted] of [[{}, first], [first, second], [first, { ...first, allRunIds: ['r2', 'r1'] }]]) {
      await rules.admin.seed(work(known));
      let attempts = 0;
      await runTransaction(rules.admin.db.student, async (transaction) => {
        const reference = doc(rules.admin.db.student, MINE);
        const stored = (await transaction.get(reference)).data();
        attempts += 1;
        if (attempts === 1) await rules.admin.seed(work(noted));
        stored.assessments[0].completedOn = new Date();
        transaction.update(reference, { assessments: stored.assessments });
        transaction.update(reference, { completed: true });
      });
      const { assessments: [{ completedOn, runId, allRunIds }] } = (await getDoc(doc(rules.admin.db.student, MINE))).data();
      assert.deepEqual([attempts, Boolean(completedOn), { runId, allRunIds }], [2, true, noted]);
    }
    await rules.admin.seed({ [MINE]: DOCUMENTS.admin[MINE] });
  });

  test('pages list assignments: a student their own, an administrator those of an org', async () => {
    const open = [where('dateClosed', '>=', new Date()), where('testData', '==', false)];
    await only('admin', ['student', 'superAdmin'], (db) => getDocs(query(collection(db, 'users/student/assignments'), ...open)));
    const ofFamily = where('readOrgs.families', 'array-contains-any', ['f1']);
    await only('admin', ['student', 'parent', 'superAdmin'], (db) =>
      getDocs(query(collection(db, 'users/student/assignments'), open[0], ofFamily)));
    const report = [where('id', '==', 'fall'), where('readOrgs.districts', 'array-contains', 'd1')];
    await only('admin', ADMINS, (db) => getDocs(query(collectionGroup(db, 'assignments'), ...report)));
  });

  test('users are read and edited', async () => {
    await only('admin', assignees, (db) => getDoc(doc(db, 'users/student')));
    await only('admin', ADMINS, (db) => getDocs(query(collection(db, 'users'), where('schools.current', 'array-contains', 's1'))));
    await only('admin', ['student'], (db, who) =>
      updateDoc(doc(db, 'users/student'), { [`legal.consent.${who}`]: arrayUnion({ dateSigned: new Date() }) }));
    await only('admin', ['parent', ...ADMINS], (db, who) => updateDoc(doc(db, 'users/student'), { 'studentData.grade': who }));
    await only('admin', [], (db) => setDoc(doc(db, 'users/made-up'), USER));
    await only('admin', [], (db) => OPERATIONS.delete(db, 'users/other-student'));
  });

  test('administrators make administrations and note them with themselves', async () => {
    const { readOrgs: _, ...made } = ADMINISTRATION;
    const create = (id, fields) => (db) => {
      const batch = writeBatch(db);
      batch.set(doc(db, `administrations/${id}`), { ...made, ...fields }, { merge: true });
      batch.update(doc(db, 'users/admin'), { 'adminData.administrationsCreated': arrayUnion(id) });
      return batch.commit();
    };
    for (const field of [...KEPT.admin['administrations/fall']]) {
      await only('admin', [], create(`with-${field}`, { [field]: 'x' }));
    }
    await only('admin', [], create('elsewhere', { minimalOrgs: lists({ districts: ['d2'] }) }));
    await only('admin', ['admin'], create('spring', {}));
    await only('admin', ADMINS, (db) => getDoc(doc(db, 'administrations/spring')));
    await only('admin', ADMINS, (db, who) => updateDoc(doc(db, 'administrations/spring'), { name: who }));
    await only('admin', ['superAdmin'], (db) => OPERATIONS.delete(db, 'administrations/spring'));
  });

  test('an administration is read by those it concerns', async () => {
    await only('admin', ['student', 'parent', ...ADMINS], (db) => getDoc(doc(db, 'administrations/fall')));
    await only('admin', ['otherAdmin', 'superAdmin'], (db) => getDoc(doc(db, 'administrations/past')));
    await only('admin', ['superAdmin'], (db) => getDocs(collection(db, 'administrations')));
    // Counts are for who administers the org; those of all together for who administers all of them.
    await only('admin', ADMINS, (db) => getDoc(doc(db, 'administrations/fall/stats/d1')));
    await only('admin', ['parent', 'superAdmin'], (db) => getDoc(doc(db, 'administrations/fall/stats/f1')));
    await only('admin', ADMINS, (db) => getDoc(doc(db, 'administrations/fall/stats/total')));
    await only('admin', ['otherAdmin', 'superAdmin'], (db) => getDoc(doc(db, 'administrations/past/stats/total')));
    await only('admin', ['superAdmin'], (db) => getDocs(collection(db, 'administrations/fall/stats')));
    // An ID that the caller's org shares with another one of the administration opens nothing.
    await rules.admin.seed({
      'administrations/shared': { ...ADMINISTRATION, readOrgs: lists({ districts: ['d1'], groups: ['s1'] }) },
      'administrations/shared-too': { ...ADMINISTRATION, readOrgs: lists({ districts: ['d1'], schools: ['s1'], groups: ['s1'] }) },
      'administrations/others': { ...ADMINISTRATION, readOrgs: lists({ districts: ['d2'] }) },
    });
    for (const path of ['shared/stats/s1', 'shared-too/stats/s1', 'others/stats/d2', 'missing/stats/d1']) {
      const people = path.endsWith('d2') ? ['otherAdmin', 'superAdmin'] : ['superAdmin'];
      await only('admin', people, (db) => getDoc(doc(db, `administrations/${path}`)));
    }
    await only('admin', ADMINS, (db) => getDoc(doc(db, 'administrations/others/stats/s1')));
  });

  test('orgs are made and edited by their administrators', async () => {
    await only('admin', ADMINS, (db, who) => updateDoc(doc(db, 'schools/s1'), { name: who }));
    await only('admin', ADMINS, (db, who) => setDoc(doc(db, `schools/by-${who}`), { name: 'x', archived: false, districtId: 'd1' }));
    await only('admin', [], (db) => setDoc(doc(db, 'schools/x'), { name: 'x', districtId: 'd1', roster: {} }));
    await only('admin', ['superAdmin'], (db) => updateDoc(doc(db, 'schools/s1'), { districtId: 'd1' }));
    await only('admin', ['superAdmin'], (db) => OPERATIONS.delete(db, 'groups/g1'));
  });

  test('whoever has no account yet reads legal texts and looks a code up', async () => {
    await only('admin', EVERYBODY, (db) => getDocs(collection(db, 'legal')));
    await only('admin', EVERYBODY, (db) => getDoc(doc(db, 'activationCodes/x')));
    await only('admin', ['superAdmin'], (db) => getDocs(collection(db, 'activationCodes')));
    for (const path of ['legal/consent', 'activationCodes/x']) await only('admin', [], (db) => OPERATIONS.update(db, path));
  });
});

describe('assessment database: what clients do', () => {
  const ORGS_ABOVE = { districts: ['d1'], schools: ['s1'], classes: ['c1'] };
  const workers = ['student', 'parent', 'admin', 'superAdmin'];

  test('a run from its begin to its end', async () => {
    // The writes of the client library, in its order.
    const path = (who) => `users/student/runs/by-${who}`;
    await only('assessment', workers, (db) => getDoc(doc(db, 'users/student')));
    await only('assessment', SIGNED_IN, (db) =>
      setDoc(doc(db, 'tasks/swr'), { name: 'swr', lastUpdated: serverTimestamp() }, { merge: true }));
    await only('assessment', SIGNED_IN, (db) => {
      const same = where('params', '==', { language: 'en' });
      return getDocs(query(collection(db, 'tasks/swr/variants'), same, orderBy('lastUpdated', 'desc'), limit(1)));
    });
    await only('assessment', SIGNED_IN, (db) => updateDoc(doc(db, 'tasks/swr/variants/v1'), { lastUpdated: serverTimestamp() }));
    await only('assessment', workers, (db, who) => setDoc(doc(db, path(who)), begun(`by-${who}`)));
    await only('assessment', workers, (db, who) =>
      updateDoc(doc(db, 'users/student'), { tasks: arrayUnion(who), variants: arrayUnion(who) }));
    await only('assessment', workers, (db) => updateDoc(doc(db, 'users/student'), { lastUpdated: serverTimestamp() }));
    await only('assessment', workers, (db, who) =>
      setDoc(doc(db, `${path('student')}/trials/by-${who}`), { ...TRIAL, serverTimestamp: serverTimestamp() }));
    await only('assessment', workers, (db, who) =>
      updateDoc(doc(db, `${path('student')}/trials/by-${who}`), {
        interaction_blur: [12.5], interaction_focus: [], interaction_fullscreenenter: [], interaction_fullscreenexit: [],
      }));
    await only('assessment', workers, (db) =>
      updateDoc(doc(db, path('student')), { 'interactions.test_response.blur': increment(1) }));
    await only('assessment', workers, (db) =>
      updateDoc(doc(db, path('student')), { 'scores.raw.composite.test.numAttempted': increment(1), 'scores.computed.composite': 1 }));
    await only('assessment', workers, (db, who) =>
      updateDoc(doc(db, path('student')), { engagementFlags: { [who]: true }, reliable: true, reliableByBlock: { FSM: true } }));
    await only('assessment', workers, (db, who) =>
      updateDoc(doc(db, path(who)), { completed: true, timeFinished: serverTimestamp(), reasonTaskEnded: 'Max Time' }));
  });

  test("a run begins without the backend's marks, in orgs of its student", async () => {
    const run = (fields) => (db) => setDoc(doc(db, 'users/student/runs/x'), { ...begun('x'), ...fields });
    for (const field of ['bestRun', 'cloudSyncTimestamp']) await only('assessment', [], run({ [field]: 1 }));
    for (const field of ['assigningOrgs', 'readOrgs']) {
      await only('assessment', [], run({ [field]: lists({ ...ORGS, districts: ['d2'] }) }));
      await only('assessment', [], run({ [field]: lists({ groups: ['g1'] }) }));
    }
    await only('assessment', workers, (db, who) =>
      setDoc(doc(db, `users/student/runs/without-${who}`), {
        ...begun(`without-${who}`), assignmentId: null, assigningOrgs: null, readOrgs: null,
      }));
    // A copy without a list of the type says nothing of orgs of that type, and so doesn't say that they are theirs.
    const workersOfOther = ['otherStudent', 'otherAdmin', 'superAdmin'];
    const other = (id, orgs) => (db, who) =>
      setDoc(doc(db, `users/other-student/runs/${id}-${who}`), { ...begun(`${id}-${who}`), ...orgs });
    await only('assessment', workersOfOther, other('in', { assigningOrgs: lists({ districts: ['d2'] }), readOrgs: lists({ districts: ['d2'] }) }));
    for (const field of ['assigningOrgs', 'readOrgs']) {
      const orgs = { assigningOrgs: lists({}), readOrgs: lists({}) };
      await only('assessment', [], other('out', { ...orgs, [field]: lists({ districts: ['d2'], groups: ['g9'] }) }));
      await only('assessment', [], other('many', { ...orgs, [field]: lists({ districts: Array(501).fill('d2') }) }));
    }
    // But the client library leaves what is above the student's orgs as the assignment says, where the copy has no list.
    const inClass = (id, readOrgs) => (db, who) => setDoc(doc(db, `users/class-only/runs/${id}-${who}`), {
      ...begun(`${id}-${who}`), assigningOrgs: lists({ classes: ['c1'] }), readOrgs,
    });
    await only('assessment', ['admin', 'superAdmin'], inClass('above', lists(ORGS_ABOVE)));
    await only('assessment', [], inClass('beside', lists({ ...ORGS_ABOVE, families: ['f9'] })));
    await only('assessment', [], inClass('other', lists({ ...ORGS_ABOVE, classes: ['c9'] })));
  });

  test('runs and trials are never deleted', async () => {
    await only('assessment', [], (db) => OPERATIONS.delete(db, 'users/student/runs/r1'));
    await only('assessment', [], (db) => OPERATIONS.delete(db, 'users/student/runs/r1/trials/t1'));
    await only('assessment', [], (db) => OPERATIONS.delete(db, 'users/student'));
    await only('assessment', [], (db) => OPERATIONS.delete(db, 'guests/uid-student'));
    await only('assessment', [], (db) => OPERATIONS.delete(db, 'guests/uid-student/runs/r1'));
  });

  test('reports read runs', async () => {
    await only('assessment', workers, (db) => getDoc(doc(db, 'users/student/runs/r1')));
    const best = (type, id) => (db) => getDocs(query(
      collection(db, 'users/student/runs'), where('bestRun', '==', true), where('assignmentId', '==', 'fall'),
      where(`readOrgs.${type}`, 'array-contains', id),
    ));
    await only('assessment', ['student', ...ADMINS], best('districts', 'd1'));
    await only('assessment', ['student', 'parent', 'superAdmin'], best('families', 'f1'));
    await only('assessment', ['student', 'superAdmin'], (db) => getDocs(collection(db, 'users/student/runs')));
    await only('assessment', ['student', 'superAdmin'], (db) => getDocs(collection(db, 'users/student/runs/r1/trials')));
  });

  test('the form that edits a user', async () => {
    await only('assessment', ['parent', ...ADMINS], (db, who) =>
      setDoc(doc(db, 'users/student'), { grade: who, birthMonth: 2, birthYear: 2017 }, { merge: true }));
    await only('assessment', ['superAdmin'], (db) => getDoc(doc(db, 'users/missing')));
    await only('assessment', [], (db) => setDoc(doc(db, 'users/pretender'), { userType: 'student' }));
    await only('assessment', [], (db) => getDocs(collection(db, 'users')));
  });

  test('guests write runs and read none', async () => {
    // Of any account that has no document yet.
    await only('assessment', SIGNED_IN, (db, who) => setDoc(doc(db, `guests/uid-${who}`), { userType: 'guest', age: 7 }));
    await only('assessment', [], (db, who) => setDoc(doc(db, `guests/uid-${who}`), { userType: 'student' }));
    await only('assessment', ['student'], (db) => getDoc(doc(db, 'guests/uid-student')));
    await only('assessment', ['student'], (db) => updateDoc(doc(db, 'guests/uid-student'), { lastUpdated: serverTimestamp() }));
    const path = 'guests/uid-student/runs';
    const guestRun = (id) => ({ ...begun(id), assignmentId: null, assigningOrgs: null, readOrgs: null });
    await only('assessment', ['student'], (db) => setDoc(doc(db, `${path}/r2`), guestRun('r2')));
    await only('assessment', ['student'], (db) => updateDoc(doc(db, `${path}/r2`), { completed: true, timeFinished: serverTimestamp() }));
    await only('assessment', ['student'], (db) => setDoc(doc(db, `${path}/r2/trials/t2`), { ...TRIAL, serverTimestamp: serverTimestamp() }));
    await only('assessment', ['student'], (db) => updateDoc(doc(db, `${path}/r2/trials/t2`), { interaction_blur: [1] }));
    await only('assessment', [], (db) => setDoc(doc(db, `${path}/r3`), { ...guestRun('r3'), bestRun: true }));
    for (const read of ['get', 'list']) {
      for (const id of [`${path}/r1`, `${path}/r1/trials/t1`]) await only('assessment', [], (db) => OPERATIONS[read](db, id));
    }
    await only('assessment', [], (db) => getDocs(collection(db, 'guests')));
  });

  test('tasks are kept by those who may, and nobody else leads children anywhere', async () => {
    const keepers = ['platformAdmin', 'superAdmin'];
    await only('assessment', SIGNED_IN, (db) => getDocs(query(collection(db, 'tasks'), where('registered', '==', true))));
    await only('assessment', SIGNED_IN, (db) => getDocs(query(collectionGroup(db, 'variants'), where('registered', '==', true))));
    for (const path of ['tasks/swr', 'tasks/swr/variants/v1']) {
      for (const field of ['name', 'taskURL']) {
        await only('assessment', keepers, (db, who) => updateDoc(doc(db, path), { [field]: who }));
      }
      await only('assessment', keepers, (db, who) => updateDoc(doc(db, path), { registered: who === 'superAdmin' }));
    }
    await only('assessment', keepers, (db, who) => setDoc(doc(db, `tasks/by-${who}`), { name: 'x' }));
    const variant = (id, fields) => (db, who) => setDoc(doc(db, `tasks/swr/variants/${id}-${who}`), { params: { id }, ...fields });
    await only('assessment', SIGNED_IN, variant('plain', { name: 'x', lastUpdated: serverTimestamp() }));
    await only('assessment', keepers, variant('registered', { registered: true }));
    await only('assessment', keepers, variant('external', { external: true }));
    await only('assessment', keepers, variant('leading', { taskURL: 'https://example.org' }));
    await only('assessment', keepers, (db) => OPERATIONS.delete(db, 'tasks/swr/variants/v1'));
  });
});
