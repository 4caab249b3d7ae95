// A school district's roster, from Clever to right assignments: a super admin presses "sync" in the client SDK, plainly
// and streaming, and a student signs in with Clever. Real SDKs, real emulators, our server; Clever is made up.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { checksOn } from './support/checks.mjs';
import { openClever } from './support/clever.mjs';
import { asSets, plain, sameDocument } from './support/compare.mjs';
import { eventually } from './support/processes.mjs';
import { openSdks } from './support/sdk.mjs';
import { emailOf, ORG_TYPES, orgLists, seed } from './support/seed.mjs';
import { secret } from './support/secrets.mjs';
import { completeTask, finishedRun, startTask } from './support/student.mjs';
import { startSuite } from './support/suite.mjs';

const DAY = 86_400_000;
// Two schools, twelve sections, three hundred students.
const DISTRICT = ['--students', '300', '--schools', '2', '--homeroom', '50'];
// When runs begin.
const STARTED = new Date('2025-09-15T10:00:00Z');

let suite;
let sdks;
let checks;
let superAdmin;
let clever;
let administration; // open
let closed; // another one, which was open while students worked
let workers; // users' IDs, by what is to happen to them at Clever: moved, left, promoted, mended

before(async () => {
  suite = await startSuite({ bothProjects: true, clever: DISTRICT });
  sdks = openSdks(suite);
  checks = checksOn(sdks.db);
  await seed(sdks, ['student-03']);
  superAdmin = await sdks.signIn(emailOf('super'));
  clever = await openClever(suite.cleverPort);
  for (const { name, email } of await clever.list('users')) secret(email, `${name.first} ${name.last}`);
});

after(async () => {
  await sdks?.close();
  await suite?.stop();
});

const refused = (promise, code) => assert.rejects(promise, (error) => {
  assert.equal(error.code, `functions/${code}`, error.message);
  return true;
});

/** The note of who somebody at Clever is, and their users document. */
async function known(id) {
  const entry = await checks.documentAt(`identityProviderIds/clever-${id}`);
  return { entry, user: entry && (await checks.documentAt(`users/${entry.roarUid}`)) };
}

/** Everybody at Clever is here, in the orgs that Clever says, and everybody else has left. */
async function agrees() {
  const sections = await clever.list('sections');
  const users = await clever.list('users');
  const there = new Map(users.map((user) => [user.id, user]));
  const entries = Object.values(await checks.collectionOf('identityProviderIds'));
  assert.deepEqual(entries.filter((entry) => !entry.gone).map((entry) => entry.providerId).sort(), [...there.keys()].sort());
  const here = await checks.collectionOf('users');
  for (const { providerId, roarUid, gone } of entries) {
    const user = here[roarUid];
    const { student } = there.get(providerId)?.roles ?? {};
    const held = (type) => [...user[type].current].sort();
    if (gone) {
      assert.deepEqual([held('districts'), held('schools'), held('classes'), user.archived], [[], [], [], true], providerId);
      for (const type of ['districts', 'schools', 'classes']) {
        for (const id of user[type].all) assert.equal(typeof user[type].dates[id].to?.toDate, 'function', `${providerId} ${id}`);
      }
      continue;
    }
    if (!student) continue;
    const own = sections.filter(({ students }) => students.includes(providerId));
    assert.deepEqual(held('classes'), own.map(({ id }) => id).sort(), providerId);
    assert.deepEqual(held('schools'), [...new Set([...student.schools, ...own.map(({ school }) => school)])].sort());
    assert.deepEqual(held('districts'), [clever.district]);
    if (student.dob) {
      const [month, day, year] = student.dob.split('/').map(Number);
      assert.equal(user.studentData.dob.toMillis(), Date.UTC(year, month - 1, day), providerId);
    }
    if (student.grade) assert.equal(user.studentData.grade, student.grade, providerId);
    for (const id of own.map((section) => section.id)) assert.equal(user.classes.dates[id].to, null);
  }
  return entries;
}

/** Somebody signs in with Clever; their account is made. */
async function signIn({ id }) {
  const email = `${id}@clever.example`;
  const client = await sdks.signInThrough('oidc.clever', { sub: id, email });
  const { uid } = client.auth.currentUser;
  const assessmentUid = `assessment-${uid}`;
  await sdks.createAssessmentAccount({ uid: assessmentUid, adminUid: uid, email });
  await client.call('setUidClaims', { assessmentUid, identityProviderId: id, identityProviderType: 'clever' });
  // With the claims.
  await client.auth.currentUser.getIdToken(true);
  return { client, uid, assessmentUid };
}

/** An administration of the whole district. */
async function administer(name) {
  const at = (days) => new Date(Date.now() + days * DAY).toISOString();
  const { administrationId } = await superAdmin.call('createAdministration', {
    name,
    assessments: [{ taskId: 'swr', params: {}, variantId: 'v', variantName: 'v' }],
    dateOpen: at(-30),
    dateClose: at(30),
    orgs: orgLists({ districts: [clever.district] }),
  });
  await checks.settled(administrationId, 'everybody has an assignment', async () => {
    assert.equal(Object.keys(await checks.assignmentsOf(administrationId)).length, 300);
  });
  return administrationId;
}

/** What there is of somebody's work: both assignments, a run of each, and the copy of the user that has no name. */
async function workOf(roarUid) {
  const inAssessment = async (path) => (await sdks.assessment.db.doc(path).get()).data();
  const [open, over] = [administration, closed].map((id) => checks.documentAt(`users/${roarUid}/assignments/${id}`));
  const [openRun, closedRun] = ['open', 'closed'].map((id) => inAssessment(`users/${roarUid}/runs/${id}`));
  const work = { open, closed: over, openRun, closedRun, copy: inAssessment(`users/${roarUid}`) };
  const parts = await Promise.all(Object.entries(work).map(async ([name, part]) => [name, comparable(await part)]));
  return Object.fromEntries(parts);
}

/** A document without what only the server knows; its lists of orgs as sets. */
function comparable(document) {
  if (document === undefined) return undefined;
  const { counted, lastUpdated, ...rest } = plain(document);
  for (const lists of ['assigningOrgs', 'readOrgs']) if (rest[lists]) rest[lists] = asSets(rest[lists]);
  return rest;
}

test('only super admins may sync, and what they say must be well-formed', async () => {
  await refused(sdks.anonymous().call('syncCleverOrgs', {}), 'unauthenticated');
  const admin = await sdks.signIn(emailOf('district-admin'));
  await refused(admin.call('syncCleverOrgs', { shallow: true }), 'permission-denied');
  for (const shallow of ['true', 1, []]) await refused(superAdmin.call('syncCleverOrgs', { shallow }), 'invalid-argument');
  assert.equal(await checks.documentAt(`districts/${clever.district}`), undefined);
});

test('orgs come with a plain call', async () => {
  const { status, runId, counts } = await superAdmin.call('syncCleverOrgs');
  assert.equal(status, 'ok');
  assert.deepEqual([counts.districts.created, counts.schools.created, counts.classes.created], [1, 2, 12]);
  assert.equal(counts.users, undefined);
  const run = await checks.documentAt(`rosteringRuns/${runId}`);
  assert.deepEqual([run.state, run.success, run.triggeredBy], ['done', true, 'uid-super']);
  const district = await checks.documentAt(`districts/${clever.district}`);
  assert.equal(district.schools.length, 2);
  assert.equal(district.id, undefined, 'pages take a field of that name for the document');
  assert.deepEqual([district.clever, district.archived], [true, false]);
  for (const school of district.schools) {
    const { districtId, classes } = await checks.documentAt(`schools/${school}`);
    assert.deepEqual([districtId, classes.length], [clever.district, 6]);
    for (const id of classes) {
      const section = await checks.documentAt(`classes/${id}`);
      assert.deepEqual([section.schoolId, section.districtId, section.sectionId], [school, clever.district, id]);
    }
  }
});

test('people come with a stream that says how far it is', async () => {
  const { stream, data } = await superAdmin.stream('syncCleverOrgs', { shallow: false });
  const heard = [];
  for await (const message of stream) heard.push(message);
  const { status, runId, counts } = await data;
  assert.equal(status, 'ok');
  const people = await agrees();
  assert.equal(counts.users.created, people.length);
  assert.equal((await clever.list('users')).filter(({ roles }) => roles.student).length, 300);
  assert.ok(heard.length > 1, 'something is said');
  assert.deepEqual([heard.at(-1).phase, heard.at(-1).runId], ['done', runId]);
  const done = heard.map((message) => message.done);
  assert.deepEqual(done, [...done].sort((one, other) => one - other));
  const contact = (await clever.list('users')).find(({ roles }) => roles.contact);
  const { user } = await known(contact.id);
  assert.deepEqual([user.userType, user.districts.current, user.schools.current], ['caregiver', [], []]);
});

test('the district is assigned, and a second sync changes nothing', async () => {
  administration = await administer('Fall, from Clever');
  const before = await checks.collectionOf('users');
  const { counts } = await superAdmin.call('syncCleverOrgs', { shallow: false });
  for (const [kind, { created, updated, removed, failed }] of Object.entries(counts)) {
    assert.deepEqual([created, updated, removed, failed], [0, 0, 0, 0], kind);
  }
  assert.deepEqual(await checks.collectionOf('users'), before);
});

test('students work on two administrations, one of which closes', async () => {
  closed = await administer('Summer, from Clever');
  const students = (await clever.list('users')).filter(({ roles }) => roles.student);
  workers = {};
  for (const [place, what] of ['moved', 'left', 'promoted', 'mended'].entries()) {
    const { client } = await signIn(students[place]);
    const { entry: { roarUid }, user } = await known(students[place].id);
    workers[what] = roarUid;
    for (const [id, run] of [[administration, 'open'], [closed, 'closed']]) {
      const path = `users/${roarUid}/assignments/${id}`;
      await startTask(client, path, 'swr');
      const fields = finishedRun(run, await checks.documentAt(path), 'swr', user, STARTED);
      await sdks.assessment.db.doc(`users/${roarUid}/runs/${run}`).set(fields);
      await completeTask(client, path, 'swr');
    }
  }
  await sdks.db.doc(`administrations/${closed}`).update({ dateClosed: new Date(Date.now() - DAY) });
  for (const id of [administration, closed]) {
    await checks.settled(id, 'the work is counted, and what is over is closed', async () => {
      const { total } = await checks.countsOf(id);
      assert.deepEqual([total.assignment.started, total.assignment.completed], [4, 4]);
      for (const roarUid of Object.values(workers)) {
        const { open, closed: over, openRun, closedRun } = await workOf(roarUid);
        for (const [assignment, run] of [[open, openRun], [over, closedRun]]) {
          assert.deepEqual([run.bestRun, assignment.assessments[0].runId], [true, run.id]);
        }
        assert.ok(new Date(over.dateClosed) < Date.now() && new Date(open.dateClosed) > Date.now());
      }
    });
  }
});

test('what changes at Clever reaches the assignments', async () => {
  const students = (await clever.list('users')).filter(({ roles }) => roles.student);
  const sections = await clever.list('sections');
  const [moved, left, promoted, mended] = students.map(({ id }) => id);
  const from = sections.filter((section) => section.students.includes(moved));
  const to = sections.filter((section) => section.school !== from[0].school).slice(0, from.length);
  for (const [place, { id }] of from.entries()) await clever.change('move', { id: moved, from: id, to: to[place].id });
  await clever.change('remove', { id: left });
  await clever.change('set', { id: promoted, path: 'roles/student/grade', value: '9' });
  await clever.change('set', { id: mended, path: 'roles/student/dob', value: '3/20/2015' });
  const before = {};
  for (const [what, roarUid] of Object.entries(workers)) before[what] = await workOf(roarUid);

  const { counts } = await superAdmin.call('syncCleverOrgs', { shallow: false });
  assert.deepEqual([counts.users.updated, counts.users.removed, counts.users.created], [3, 1, 0]);
  await agrees();

  // What docs/domain/assignments.md#when-a-student-changes lets change, field by field; everything else stays as it
  // was.
  const orgs = asSets(orgLists({ districts: [clever.district], schools: [to[0].school], classes: to.map(({ id }) => id) }));
  const nowhere = orgLists({});
  const born = { birthMonth: 3, birthYear: 2015 };
  const changes = {
    moved: {
      open: { assigningOrgs: orgs, readOrgs: orgs },
      openRun: { assigningOrgs: orgs, readOrgs: orgs },
    },
    left: { open: undefined, openRun: { assigningOrgs: nowhere, readOrgs: nowhere }, copy: { archived: true } },
    promoted: {
      open: { userData: { grade: '9', schoolLevel: 'high' } },
      copy: { grade: '9', schoolLevel: 'high' },
    },
    mended: {
      open: { userData: { dob: '2015-03-20T00:00:00.000Z' } },
      closed: { userData: { dob: '2015-03-20T00:00:00.000Z' } },
      // At the start of the runs, on the 15th of September 2025.
      openRun: { userData: { ...born, ageMonths: 125, ageYears: 10 } },
      closedRun: { userData: { ...born, ageMonths: 125, ageYears: 10 } },
      copy: born,
    },
  };
  await checks.settled(administration, 'assignments and runs have followed', async () => {
    for (const [what, roarUid] of Object.entries(workers)) {
      const after = await workOf(roarUid);
      // Which orgs, `agrees` has checked.
      const user = plain(await checks.documentAt(`users/${roarUid}`));
      const memberships = Object.fromEntries(ORG_TYPES.map((type) => [type, user[type]]));
      for (const [part, was] of Object.entries(before[what])) {
        const change = part in changes[what] ? changes[what][part] : {};
        const userData = was.userData && { userData: { ...was.userData, ...change?.userData } };
        const expected = change && { ...was, ...change, ...userData, ...(part === 'copy' && memberships) };
        sameDocument(`${part} of who is ${what}`, after[part], expected);
        if (part in changes[what]) assert.notDeepEqual(expected, was, `${part} of who is ${what} was so before`);
      }
    }
    assert.equal((await known(promoted)).user.studentData.schoolLevel, 'high');
    assert.equal(Object.keys(await checks.assignmentsOf(administration)).length, 299);
    assert.equal(Object.keys(await checks.assignmentsOf(closed)).length, 300);
  });
  await checks.settled(closed, 'what is over is as it was');
});

test('too many missing stop it, and a dry run writes nothing', async () => {
  const students = (await clever.list('users')).filter(({ roles }) => roles.student);
  const before = await checks.collectionOf('users');
  for (const { id } of students.slice(0, 150)) await clever.change('remove', { id });
  await refused(superAdmin.call('syncCleverOrgs', { shallow: false }), 'failed-precondition');
  const runs = Object.keys(await checks.collectionOf('rosteringRuns')).length;
  const { counts, districts, runId } = await superAdmin.call('syncCleverOrgs', { shallow: false, dryRun: true, confirmUnenroll: true });
  assert.deepEqual([counts.users.removed, districts[0].differing, runId], [150, 150, null]);
  assert.equal(Object.keys(await checks.collectionOf('rosteringRuns')).length, runs);
  assert.deepEqual(await checks.collectionOf('users'), before);
  for (const { id } of students.slice(0, 150)) await clever.change('bringBack', { id });
});

test('a Clever that fails is reported, and the next sync goes on', async () => {
  await clever.change('fail', { path: '/users', status: 503, times: 20 });
  await refused(superAdmin.call('syncCleverOrgs', { shallow: false }), 'unavailable');
  const states = Object.values(await checks.collectionOf('rosteringRuns')).map((run) => run.state);
  assert.ok(states.includes('failed'), `${states}`);
  await clever.change('recover');
  const { counts } = await superAdmin.call('syncCleverOrgs', { shallow: false });
  assert.deepEqual([counts.users.updated, counts.users.removed], [0, 0]);
  await agrees();
});

test('a student and a teacher sign in with Clever', async () => {
  const users = await clever.list('users');
  const sections = await clever.list('sections');
  const student = users.filter(({ roles }) => roles.student)[5];
  const teacher = users.find(({ id, roles }) => roles.teacher && !roles.staff && sections.some((each) => each.teachers.includes(id)));
  for (const [person, role] of [[student, 'student'], [teacher, 'admin']]) {
    const { client, uid, assessmentUid } = await signIn(person);
    const { token } = await clever.change('signIn', { id: person.id });
    secret(token);
    assert.deepEqual(await client.call('syncCleverUser', { assessmentUid, accessToken: token }), { status: 'ok' });
    const { entry } = await known(person.id);
    assert.deepEqual([entry.adminUid, entry.activated], [uid, true]);
    const { claims } = await client.auth.currentUser.getIdTokenResult(true);
    assert.deepEqual([claims.role, claims.roarUid], [role, entry.roarUid]);
    const raw = await checks.documentAt(`users/${entry.roarUid}/externalData/clever`);
    assert.equal(raw.id, person.id);
    await refused(client.call('syncCleverUser', { assessmentUid, accessToken: 'il0000' }), 'permission-denied');
    const held = (await checks.documentAt(`userClaims/${uid}`)).claims;
    if (role === 'admin') {
      const taught = sections.filter(({ teachers }) => teachers.includes(person.id)).map(({ id }) => id).sort();
      assert.deepEqual([...held.adminOrgs.classes].sort(), taught);
      // A section less, and with the next sync the right to it is gone.
      await clever.change('set', { id: taught[0], path: 'teachers', value: [] });
      await clever.change('set', { id: taught[0], path: 'teacher', value: null });
      await superAdmin.call('syncCleverOrgs', { shallow: false });
      await eventually('the right is gone', async () => {
        const { claims: now } = await checks.documentAt(`userClaims/${uid}`);
        assert.deepEqual([...now.adminOrgs.classes].sort(), taught.slice(1));
      });
    } else {
      const copy = (await sdks.assessment.db.doc(`users/${entry.roarUid}`).get()).data();
      assert.deepEqual([copy.userType, copy.schools.current, copy.name], ['student', (await known(person.id)).user.schools.current, undefined]);
    }
  }
  await checks.settled(administration, 'counts agree');
});
