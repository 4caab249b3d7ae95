// Rights and accounts, as people meet them: through the client SDK, with the ID tokens of the real Auth
// emulators, and with what the security rules and the other project make of it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Timestamp } from 'firebase-admin/firestore';

import { checksOn } from './support/checks.mjs';
import { plain } from './support/compare.mjs';
import { eventually } from './support/processes.mjs';
import { openSdks, PASSWORD } from './support/sdk.mjs';
import { emailOf, orgLists, seed } from './support/seed.mjs';
import { secret } from './support/secrets.mjs';
import { startSuite } from './support/suite.mjs';

const STUDENT = 'student-03'; // class 1
const EMPTY = orgLists({});

let suite;
let sdks;
let checks;
let superAdmin;

before(async () => {
  suite = await startSuite({ bothProjects: true });
  sdks = openSdks(suite);
  checks = checksOn(sdks.db);
  await seed(sdks, [STUDENT]);
  superAdmin = await sdks.signIn(emailOf('super'));
});

after(async () => {
  await sdks?.close();
  await suite?.stop();
});

/** The claims of somebody's ID token, fetched anew. */
async function token(person) {
  const { claims } = await person.auth.currentUser.getIdTokenResult(true);
  return claims;
}

/** What the rules of the assessment project will see. */
const copyOf = async (uid) => (await sdks.assessment.db.doc(`userClaims/${uid}`).get()).data();

const refused = (promise, code) => assert.rejects(promise, (error) => {
  assert.equal(error.code, `functions/${code}`, error.message);
  return true;
});

test('rights that are given and taken away are in the token after a refresh', async () => {
  const uid = 'uid-teacher';
  await sdks.createAccount({ uid, email: emailOf('teacher'), claims: {} });
  const teacher = await sdks.signIn(emailOf('teacher'));
  assert.equal((await token(teacher)).role, undefined);
  await refused(teacher.call('appendToAdminClaims', { targetUid: uid, schoolId: 'school-1' }), 'permission-denied');

  const { status, userClaims } = await superAdmin.call('appendToAdminClaims', { targetUid: uid, schoolId: 'school-1', districtId: null });
  assert.equal(status, 'ok');
  assert.deepEqual(userClaims.minimalAdminOrgs, { ...EMPTY, schools: ['school-1'] });
  assert.deepEqual(userClaims.adminOrgs, { ...EMPTY, schools: ['school-1'], classes: ['class-1', 'class-2'], groups: ['group-1'] });
  const claims = await token(teacher);
  assert.equal(claims.role, 'admin');
  assert.equal(claims.adminUid, uid);
  assert.equal(claims.adminOrgs, undefined, 'lists of orgs are too large for tokens');
  const { lastUpdated } = (await sdks.db.doc(`userClaims/${uid}`).get()).data();
  assert.ok(Math.abs(Date.now() - lastUpdated) < 60_000, `lastUpdated is ${lastUpdated}`);

  // An admin of a school may pass on its classes, and nothing beside or above it.
  await teacher.call('appendToAdminClaims', { targetUid: `uid-${STUDENT}`, classId: 'class-1' });
  await refused(teacher.call('appendToAdminClaims', { targetUid: `uid-${STUDENT}`, classId: 'class-3' }), 'permission-denied');
  await refused(teacher.call('removeFromAdminClaims', { targetUid: uid, schoolId: 'school-1' }), 'permission-denied');
  await teacher.call('removeFromAdminClaims', { targetUid: `uid-${STUDENT}`, classId: 'class-1' });

  await refused(superAdmin.call('removeFromAdminClaims', { targetUid: uid, classId: 'class-1' }), 'failed-precondition');
  const left = await superAdmin.call('removeFromAdminClaims', { targetUid: uid, schools: ['school-1'] });
  assert.deepEqual(left.userClaims.adminOrgs, EMPTY);
  await refused(teacher.call('appendToAdminClaims', { targetUid: uid, classId: 'class-1' }), 'permission-denied');
});

test('an administrator can sign in, and is one, as soon as the call returns', async () => {
  const districtAdmin = await sdks.signIn(emailOf('district-admin'));
  const request = {
    email: emailOf('Principal'),
    name: { first: 'Jordan', middle: null, last: 'Okonkwo' },
    orgs: { ...EMPTY, districts: ['district-1', null], schools: ['school-2'] },
    adminOrgs: { ...EMPTY, schools: ['school-2'] },
    isTestData: false,
  };
  secret(...Object.values(request.name), request.email);
  const { status, adminUid, assessmentUid, roarUid } = await districtAdmin.call('createAdministratorAccount', request);
  assert.equal(status, 'ok');
  // They'd set a password by the link in an e-mail.
  await sdks.auth.updateUser(adminUid, { password: PASSWORD });
  const principal = await sdks.signIn(emailOf('principal'));
  const claims = await token(principal);
  assert.deepEqual(
    { role: claims.role, roarUid: claims.roarUid, adminUid: claims.adminUid, assessmentUid: claims.assessmentUid },
    { role: 'admin', roarUid, adminUid, assessmentUid },
  );
  const account = await sdks.assessment.auth.getUser(assessmentUid);
  assert.equal(account.displayName, undefined, 'no name goes to the assessment project');
  assert.equal(account.customClaims.roarUid, roarUid);
  const user = (await sdks.db.doc(`users/${roarUid}`).get()).data();
  assert.deepEqual(user.name, request.name);
  const copy = (await sdks.assessment.db.doc(`users/${roarUid}`).get()).data();
  assert.deepEqual([copy.userType, copy.name, copy.email], ['admin', undefined, undefined]);
  await eventually('the assessment project knows the rights', async () => {
    assert.deepEqual((await copyOf(assessmentUid)).claims.minimalAdminOrgs, { ...EMPTY, schools: ['school-2'] });
  });
  // What the rest of the pages asks for.
  assert.deepEqual(await principal.call('setUidClaims', { assessmentUid, identityProviderId: null, identityProviderType: null }), {
    status: 'ok',
    userClaims: { roarUid, adminUid, assessmentUid, role: 'admin' },
  });
  assert.deepEqual(await districtAdmin.call('createAdministratorAccount', request), { status, adminUid, assessmentUid, roarUid });
  await refused(districtAdmin.call('createAdministratorAccount', { ...request, adminOrgs: { schools: ['school-3'] } }), 'permission-denied');
});

test('calls at once lose nothing', async () => {
  const uid = 'uid-many';
  await sdks.createAccount({ uid, email: emailOf('many'), claims: {} });
  const give = (orgs) => superAdmin.call('appendToAdminClaims', { targetUid: uid, ...orgs });
  await Promise.all([
    give({ schoolId: 'school-1' }), give({ classId: 'class-3' }), give({ districtId: 'district-2' }), give({ groups: ['group-1'] }),
  ]);
  const { claims } = (await sdks.db.doc(`userClaims/${uid}`).get()).data();
  // The group is part of a class of the school.
  assert.deepEqual(claims.minimalAdminOrgs, { ...EMPTY, districts: ['district-2'], schools: ['school-1'], classes: ['class-3'] });
  const audited = await sdks.db.collection('claimsAudit').where('target', '==', uid).get();
  // The group changes nothing where its class's school came first.
  assert.ok([3, 4].includes(audited.size), `${audited.size} records`);
  for (const each of audited.docs) assert.deepEqual([each.get('by'), each.get('action')], ['uid-super', 'append']);
});

test('a rostered teacher who signs in through the district finds their rights', async () => {
  const rostered = 'rostered-teacher';
  await sdks.db.doc(`users/${rostered}`).set({ userType: 'educator', archived: false });
  await sdks.db.doc('identityProviderIds/entry-1').set({
    providerType: 'clever', providerId: 'clever-0815', roarUid: rostered, activated: false, adminOrgs: { classes: ['class-4'] },
  });
  const teacher = await sdks.signInThrough('oidc.clever', { sub: 'clever-0815', email: emailOf('rostered') });
  const { uid, providerData } = teacher.auth.currentUser;
  const [{ uid: identityProviderId }] = providerData.filter((each) => each.providerId === 'oidc.clever');
  await sdks.createAssessmentAccount({ uid: 'assessment-rostered', adminUid: uid, email: emailOf('rostered') });
  const signIn = (id) => teacher.call('setUidClaims', {
    assessmentUid: 'assessment-rostered', identityProviderId: id, identityProviderType: 'clever',
  });
  await refused(signIn('clever-of-somebody-else'), 'permission-denied');
  const { userClaims } = await signIn(identityProviderId);
  assert.deepEqual(userClaims, { roarUid: rostered, adminUid: uid, assessmentUid: 'assessment-rostered', role: 'admin' });
  const { roarUid, role } = await token(teacher);
  assert.deepEqual([roarUid, role], [rostered, 'admin']);
  const entry = (await sdks.db.doc('identityProviderIds/entry-1').get()).data();
  assert.deepEqual([entry.activated, entry.adminUid], [true, uid]);
  assert.deepEqual((await copyOf('assessment-rostered')).claims.minimalAdminOrgs, { ...EMPTY, classes: ['class-4'] });
  assert.deepEqual((await signIn(identityProviderId)).userClaims, userClaims);
});

test('a password that an admin sets is the one to sign in with', async () => {
  const uids = { roarUid: STUDENT, adminUid: `uid-${STUDENT}` };
  await sdks.db.doc(`userClaims/${uids.adminUid}`).set({ claims: uids, lastUpdated: Date.now() });
  const districtAdmin = await sdks.signIn(emailOf('district-admin'));
  const password = 'another-good-book-2';
  secret(password);
  await districtAdmin.call('updateUserRecord', { uid: STUDENT, userRecord: { password } });
  await assert.rejects(sdks.signIn(emailOf(STUDENT)), { code: 'auth/wrong-password' });
  await sdks.signIn(emailOf(STUDENT), password);
  const other = await sdks.signIn(emailOf('other-admin'));
  await refused(other.call('updateUserRecord', { uid: STUDENT, userRecord: { password } }), 'permission-denied');
  await refused(superAdmin.call('updateUserRecord', { uid: STUDENT, userRecord: { password: '12345' } }), 'invalid-argument');
  await refused(superAdmin.call('updateUserRecord', { uid: STUDENT, userRecord: { email: emailOf('super') } }), 'already-exists');
});

test('claims that are edited by hand reach the token, both projects and the user', async () => {
  const uid = 'uid-by-hand';
  await sdks.createAccount({ uid, email: emailOf('by-hand'), claims: {} });
  await sdks.createAssessmentAccount({ uid: 'assessment-by-hand', adminUid: uid, email: emailOf('by-hand') });
  await sdks.db.doc('users/by-hand').set({ userType: 'educator', archived: false });
  const person = await sdks.signIn(emailOf('by-hand'));
  const uids = { roarUid: 'by-hand', adminUid: uid, assessmentUid: 'assessment-by-hand' };
  await sdks.db.doc(`userClaims/${uid}`).set({ claims: { ...uids, role: 'platform_admin', adminOrgs: { districts: ['district-2'] } } });
  await eventually('the token has the role', async () => {
    const { role, roarUid, assessmentUid } = await token(person);
    assert.deepEqual({ role, roarUid, assessmentUid }, { role: 'platform_admin', roarUid: 'by-hand', assessmentUid: 'assessment-by-hand' });
  });
  await eventually('the lists are complete, and copied', async () => {
    const { claims } = (await sdks.db.doc(`userClaims/${uid}`).get()).data();
    assert.deepEqual(claims.minimalAdminOrgs, { ...EMPTY, districts: ['district-2'] });
    assert.deepEqual(claims.adminOrgs, { ...EMPTY, districts: ['district-2'], schools: ['school-3'], classes: ['class-5'] });
    assert.deepEqual((await copyOf('assessment-by-hand')).claims, claims);
  });
  await eventually('the user is an admin', async () => {
    assert.equal((await sdks.db.doc('users/by-hand').get()).get('userType'), 'admin');
  });
});

test('orgs appear in the assessment project without their contacts, and go from it', async () => {
  const district = {
    name: 'Coast Unified', archived: false, schools: ['school-9'], createdAt: Timestamp.fromMillis(1_790_000_000_000),
    districtContact: { name: { first: 'Marisol', last: 'Quintanilla' }, email: 'marisol@coast.example', title: 'Head', id: '1' },
    createdBy: 'super',
  };
  const school = {
    name: 'Pier Elementary', districtId: 'district-9', archived: false, classes: [], phone: '+1 555 0100',
    principal: { name: 'Ignatius Featherstone', email: 'head@pier.example' },
  };
  const family = { name: 'Featherstone', archived: false };
  secret('Quintanilla', 'Featherstone', 'marisol@coast.example', 'head@pier.example', '555 0100');
  const written = { 'districts/district-9': district, 'schools/school-9': school, 'families/family-9': family };
  for (const [path, fields] of Object.entries(written)) await sdks.db.doc(path).set(fields);
  const mirrored = async (path) => plain((await sdks.assessment.db.doc(path).get()).data());
  await eventually('the mirrors are there', async () => {
    const { districtContact, createdBy, ...rest } = district;
    assert.deepEqual(await mirrored('districts/district-9'), plain(rest));
    const { phone, principal, ...place } = school;
    assert.deepEqual(await mirrored('schools/school-9'), plain(place));
    assert.deepEqual(await mirrored('families/family-9'), { archived: false });
  });
  await sdks.db.doc('schools/school-9').delete();
  await eventually('the mirror is gone', async () => assert.equal(await mirrored('schools/school-9'), undefined));
});

test('what is deleted is in the archive', async () => {
  const { db } = sdks.assessment;
  const run = { taskId: 'swr', completed: false, assignmentId: null };
  const documents = [
    [sdks.db, 'users/gone', 'deleted-users/gone', { userType: 'guest', archived: false }],
    [sdks.db, 'users/gone/externalData/clever', 'deleted-users/gone/deleted-externalData/clever', { id: 'x' }],
    [db, 'users/gone/runs/r1', 'deleted-users/gone/deleted-runs/r1', run],
    [db, 'users/gone/runs/r1/trials/t1', 'deleted-users/gone/deleted-runs/r1/deleted-trials/t1', { correct: true }],
    [db, 'guests/g1', 'deleted-guests/g1', { userType: 'guest' }],
    [db, 'guests/g1/runs/r1', 'deleted-guests/g1/deleted-runs/r1', run],
    [db, 'guests/g1/runs/r1/trials/t1', 'deleted-guests/g1/deleted-runs/r1/deleted-trials/t1', { correct: false }],
  ];
  for (const [database, path, , fields] of documents) await database.doc(path).set(fields);
  for (const [database, path] of documents.toReversed()) await database.doc(path).delete();
  for (const [database, path, archive, fields] of documents) {
    await eventually(`${path} is archived`, async () => {
      const archived = (await database.doc(archive).get()).data();
      assert.ok(archived, `there is no ${archive}`);
      for (const [name, value] of Object.entries(fields)) assert.deepEqual(archived[name], value, `${name} of ${archive}`);
    });
  }
});

test('signed out, nothing is done', async () => {
  const nobody = sdks.anonymous();
  for (const name of ['appendToAdminClaims', 'removeFromAdminClaims', 'setUidClaims', 'associateAssessmentUid', 'updateUserRecord']) {
    await refused(nobody.call(name, {}), 'unauthenticated');
  }
  assert.equal(Object.keys(await checks.collectionOf('administrations')).length, 0);
});
