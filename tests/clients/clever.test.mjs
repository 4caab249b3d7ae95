// A school district's roster, from Clever to right assignments: a super admin presses "sync" in the client SDK, plainly
// and streaming, and a student signs in with Clever. Real SDKs, real emulators, our server; Clever is made up.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { checksOn } from './support/checks.mjs';
import { openClever } from './support/clever.mjs';
import { eventually } from './support/processes.mjs';
import { openSdks } from './support/sdk.mjs';
import { emailOf, orgLists, seed } from './support/seed.mjs';
import { secret } from './support/secrets.mjs';
import { startSuite } from './support/suite.mjs';

const DAY = 86_400_000;
// Two schools, twelve sections, three hundred students.
const DISTRICT = ['--students', '300', '--schools', '2', '--homeroom', '50'];

let suite;
let sdks;
let checks;
let superAdmin;
let clever;
let administration;

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
  const at = (days) => new Date(Date.now() + days * DAY).toISOString();
  const { administrationId } = await superAdmin.call('createAdministration', {
    name: 'Fall, from Clever',
    assessments: [{ taskId: 'swr', params: {}, variantId: 'v', variantName: 'v' }],
    dateOpen: at(-1),
    dateClose: at(30),
    orgs: orgLists({ districts: [clever.district] }),
  });
  administration = administrationId;
  await checks.settled(administration, 'everybody has an assignment', async () => {
    assert.equal(Object.keys(await checks.assignmentsOf(administration)).length, 300);
  });
  const before = await checks.collectionOf('users');
  const { counts } = await superAdmin.call('syncCleverOrgs', { shallow: false });
  for (const [kind, { created, updated, removed, failed }] of Object.entries(counts)) {
    assert.deepEqual([created, updated, removed, failed], [0, 0, 0, 0], kind);
  }
  assert.deepEqual(await checks.collectionOf('users'), before);
});

test('what changes at Clever reaches the assignments', async () => {
  const students = (await clever.list('users')).filter(({ roles }) => roles.student);
  const sections = await clever.list('sections');
  const [moved, left, promoted, mended] = students.map(({ id }) => id);
  const from = sections.find((section) => section.students.includes(moved));
  const to = sections.find((section) => section.school !== from.school && !section.students.includes(moved));
  await clever.change('move', { id: moved, from: from.id, to: to.id });
  await clever.change('remove', { id: left });
  await clever.change('set', { id: promoted, path: 'roles/student/grade', value: '9' });
  await clever.change('set', { id: mended, path: 'roles/student/dob', value: '3/20/2015' });
  const before = await known(left);
  const assigned = await checks.documentAt(`users/${before.entry.roarUid}/assignments/${administration}`);
  assert.ok(assigned, 'who leaves had an assignment');

  const { counts } = await superAdmin.call('syncCleverOrgs', { shallow: false });
  assert.deepEqual([counts.users.updated, counts.users.removed, counts.users.created], [3, 1, 0]);
  await agrees();
  const of = async (id) => {
    const { entry, user } = await known(id);
    return { user, assignment: await checks.documentAt(`users/${entry.roarUid}/assignments/${administration}`) };
  };
  await checks.settled(administration, 'assignments have followed', async () => {
    assert.equal((await of(left)).assignment, undefined);
    const one = await of(moved);
    assert.ok(one.assignment.assigningOrgs.classes.includes(to.id), 'the new class');
    assert.ok(!one.assignment.assigningOrgs.classes.includes(from.id), 'the old class');
    assert.ok(one.assignment.readOrgs.schools.includes(to.school), 'the new school');
    assert.equal((await of(promoted)).assignment.userData.grade, '9');
    assert.equal((await of(promoted)).user.studentData.schoolLevel, 'high');
    assert.equal((await of(mended)).assignment.userData.dob.toMillis(), Date.UTC(2015, 2, 20));
    assert.equal(Object.keys(await checks.assignmentsOf(administration)).length, 299);
  });
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
    const email = `${person.id}@clever.example`;
    const client = await sdks.signInThrough('oidc.clever', { sub: person.id, email });
    const { uid } = client.auth.currentUser;
    const assessmentUid = `assessment-${uid}`;
    await sdks.createAssessmentAccount({ uid: assessmentUid, adminUid: uid, email });
    await client.call('setUidClaims', { assessmentUid, identityProviderId: person.id, identityProviderType: 'clever' });
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
