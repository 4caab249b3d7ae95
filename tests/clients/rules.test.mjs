// The security rules of the admin database, as the client SDK meets them on the Firestore emulator.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  collection, collectionGroup, deleteDoc, doc, getDoc, getDocs, query, setDoc, updateDoc, where,
} from 'firebase/firestore';

import { openSdks } from './support/sdk.mjs';
import { DISTRICT_1, emailOf, orgLists, seed } from './support/seed.mjs';
import { startSuite } from './support/suite.mjs';

const MINE = 'users/student-03/assignments/fall';
const ASSIGNMENT = {
  id: 'fall',
  started: false,
  completed: false,
  assigningOrgs: orgLists({ schools: ['school-1'] }),
  readOrgs: orgLists({ districts: ['district-1'], schools: ['school-1'] }),
  assessments: [{ taskId: 'swr', optional: false, params: {} }],
  progress: { swr: 'assigned' },
  counted: { assigned: true },
};
const ADMINISTRATION = {
  name: 'Fall',
  createdBy: 'district-admin',
  formatVersion: 2,
  minimalOrgs: orgLists({ districts: ['district-1'] }),
  readOrgs: DISTRICT_1,
  assessments: [],
};

let suite;
let sdks;
let nobody;
let student;
let stranger;
let admin;
let otherAdmin;
let superAdmin;

before(async () => {
  suite = await startSuite({ server: false });
  sdks = openSdks(suite);
  await seed(sdks, ['student-03', 'student-04']);
  await sdks.db.doc(MINE).set(ASSIGNMENT);
  await sdks.db.doc('administrations/fall').set(ADMINISTRATION);
  await sdks.db.doc('administrations/fall/stats/total').set({ assignment: { assigned: 1 } });
  await sdks.db.doc('users/student-03/externalData/clever').set({ id: 'clever-3' });
  await sdks.db.doc('legal/consent').set({ fileName: 'consent.md' });
  nobody = sdks.anonymous();
  [student, stranger, admin, otherAdmin, superAdmin] = await Promise.all(
    ['student-03', 'student-04', 'district-admin', 'other-admin', 'super'].map((id) => sdks.signIn(emailOf(id))),
  );
});

after(async () => {
  await sdks?.close();
  await suite?.stop();
});

const read = (who, path) => getDoc(doc(who.db, path));
const update = (who, path, fields) => updateDoc(doc(who.db, path), fields);

async function refused(what) {
  await assert.rejects(what, (error) => {
    assert.equal(error.code, 'permission-denied');
    return true;
  });
}

describe('assignments', () => {
  test('are read by their student and by administrators of their orgs', async () => {
    assert.equal((await read(student, MINE)).data().id, 'fall');
    await read(admin, MINE);
    await read(superAdmin, MINE);
    await refused(read(stranger, MINE));
    await refused(read(otherAdmin, MINE));
    await refused(read(nobody, MINE));
  });

  test('are found by administrators across students, as reports do', async () => {
    const report = (who, district) =>
      getDocs(
        query(
          collectionGroup(who.db, 'assignments'),
          where('id', '==', 'fall'),
          where('readOrgs.districts', 'array-contains', district),
        ),
      );
    assert.equal((await report(superAdmin, 'district-1')).size, 1);
    assert.equal((await report(admin, 'district-1')).size, 1);
    await refused(report(otherAdmin, 'district-1'));
    await refused(report(student, 'district-1'));
  });

  test("take the student's own work", async () => {
    const assessments = [{ ...ASSIGNMENT.assessments[0], startedOn: new Date() }];
    await update(student, MINE, { assessments, started: true });
    await refused(update(stranger, MINE, { assessments, started: true }));
    await refused(update(nobody, MINE, { assessments, started: true }));
  });

  test('keep what the backend decides', async () => {
    const more = [...ASSIGNMENT.assessments, { taskId: 'pa', optional: false, params: {} }];
    for (const who of [student, admin, superAdmin]) {
      await refused(update(who, MINE, { assessments: more }));
      await refused(update(who, MINE, { assessments: [] }));
      await refused(update(who, MINE, { assigningOrgs: orgLists({}) }));
      await refused(update(who, MINE, { readOrgs: orgLists({}) }));
      await refused(update(who, MINE, { counted: {} }));
      await refused(deleteDoc(doc(who.db, MINE)));
      await refused(setDoc(doc(who.db, 'users/student-03/assignments/made-up'), ASSIGNMENT));
    }
  });
});

describe('users', () => {
  test('read and sign for themselves only', async () => {
    assert.equal((await read(student, 'users/student-03')).data().username, 'student-03');
    await refused(read(stranger, 'users/student-03'));
    await update(student, 'users/student-03', { 'legal.assent.v1': [{ dateSigned: new Date() }] });
    await refused(update(student, 'users/student-03', { 'studentData.grade': '5' }));
    await refused(update(student, 'users/student-03', { archived: true }));
    await refused(update(student, 'users/student-03', { 'assignments.completed': ['fall'] }));
    await refused(deleteDoc(doc(student.db, 'users/student-03')));
  });

  test('are edited by the administrators of their orgs', async () => {
    await update(admin, 'users/student-03', { 'studentData.grade': '4' });
    await refused(update(otherAdmin, 'users/student-03', { 'studentData.grade': '4' }));
    await refused(update(admin, 'users/student-03', { archived: true }));
    await refused(update(admin, 'users/student-03', { 'schools.current': [] }));
  });

  test('are listed by the administrators of an org', async () => {
    const members = (who, school) =>
      getDocs(query(collection(who.db, 'users'), where('schools.current', 'array-contains', school)));
    assert.ok((await members(admin, 'school-1')).size > 0);
    await refused(members(otherAdmin, 'school-1'));
    await refused(members(student, 'school-1'));
  });

  test("read what an identity provider knows of them; the backend's copy", async () => {
    const external = (who) => getDocs(collection(who.db, 'users/student-03/externalData'));
    assert.equal((await external(student)).size, 1);
    assert.equal((await external(admin)).size, 1);
    assert.equal((await external(superAdmin)).size, 1);
    for (const who of [stranger, otherAdmin, nobody]) await refused(external(who));
    for (const who of [student, admin, superAdmin]) {
      await refused(update(who, 'users/student-03/externalData/clever', { id: 'mine' }));
    }
  });

  test('never write claims', async () => {
    await read(admin, 'userClaims/uid-district-admin');
    await refused(read(otherAdmin, 'userClaims/uid-district-admin'));
    for (const who of [student, admin, superAdmin]) {
      await refused(setDoc(doc(who.db, `userClaims/${who.auth.currentUser.uid}`), { claims: { super_admin: true } }));
    }
  });
});

describe('administrations', () => {
  const made = (by, orgs) => ({ ...ADMINISTRATION, createdBy: by, minimalOrgs: orgLists(orgs), readOrgs: undefined });
  const create = (who, id, fields) => {
    const { readOrgs: _, ...rest } = fields;
    return setDoc(doc(who.db, `administrations/${id}`), rest);
  };

  test('are read by those they concern', async () => {
    await read(student, 'administrations/fall');
    await read(admin, 'administrations/fall');
    await read(superAdmin, 'administrations/fall');
    await refused(read(stranger, 'administrations/fall'));
    await refused(read(otherAdmin, 'administrations/fall'));
    await refused(read(nobody, 'administrations/fall'));
  });

  test('are made and changed for orgs that one administers', async () => {
    await create(admin, 'mine', made('district-admin', { schools: ['school-1'] }));
    // The page gets it at once, before the backend has written who may read it.
    await read(admin, 'administrations/mine');
    await refused(read(otherAdmin, 'administrations/mine'));
    await refused(create(admin, 'theirs', made('district-admin', { schools: ['school-3'] })));
    await refused(create(admin, 'not-mine', made('super', { schools: ['school-1'] })));
    await refused(create(student, 'prank', made('student-03', {})));
    await create(superAdmin, 'anywhere', made('super', { schools: ['school-1', 'school-3'] }));

    await update(admin, 'administrations/mine', { name: 'Renamed' });
    await refused(update(admin, 'administrations/mine', { minimalOrgs: orgLists({ schools: ['school-3'] }) }));
    await refused(update(admin, 'administrations/mine', { syncStatus: 'complete' }));
    await refused(update(otherAdmin, 'administrations/mine', { name: 'Mine now' }));
    await refused(update(admin, 'administrations/anywhere', { name: 'Mine now' }));
  });

  test('are deleted by super admins, with what was computed for them', async () => {
    for (const name of ['stats', 'assigningOrgs', 'assignedOrgs', 'readOrgs']) {
      await getDocs(collection(superAdmin.db, `administrations/fall/${name}`));
    }
    await refused(deleteDoc(doc(admin.db, 'administrations/mine')));
    await refused(deleteDoc(doc(admin.db, 'administrations/fall/stats/total')));
    await refused(update(superAdmin, 'administrations/fall/stats/total', { assignment: { assigned: 2 } }));
    await deleteDoc(doc(superAdmin.db, 'administrations/fall/stats/total'));
    await deleteDoc(doc(superAdmin.db, 'administrations/mine'));
  });
});

test('orgs are read by administrators', async () => {
  // They have contacts and activation codes; no page of a student asks for them.
  await refused(read(student, 'schools/school-1'));
  await refused(read(student, 'schools/school-3'));
  await read(admin, 'schools/school-1');
  await refused(read(otherAdmin, 'schools/school-1'));
  const schools = (who, district) =>
    getDocs(query(collection(who.db, 'schools'), where('archived', '==', false), where('districtId', '==', district)));
  assert.equal((await schools(admin, 'district-1')).size, 2);
  await refused(schools(otherAdmin, 'district-1'));
});

test('an administrator makes groups within orgs of their own', async () => {
  const group = (who, id, parent) =>
    setDoc(doc(who.db, `groups/${id}`), { name: id, archived: false, parentOrgType: 'class', parentOrgId: parent });
  await group(admin, 'late-readers', 'class-1');
  await refused(group(admin, 'strangers', 'class-5'));
});

test('legal texts are public', async () => {
  assert.equal((await read(nobody, 'legal/consent')).data().fileName, 'consent.md');
  await refused(setDoc(doc(superAdmin.db, 'legal/consent'), {}));
});

test("the backend's own collections are closed to everybody", async () => {
  const own = ['functionTasks', 'administrationSyncs', 'processedEvents', 'requestIds', 'identityProviderIds'];
  const archives = ['deleted-users', 'deleted-users/student-03/deleted-assignments'];
  for (const name of [...own, ...archives]) {
    for (const who of [nobody, student, admin, superAdmin]) {
      await refused(read(who, `${name}/x`));
      await refused(setDoc(doc(who.db, `${name}/x`), {}));
    }
  }
});

test('super admins read what syncs of rosters came to, and nobody writes it', async () => {
  await sdks.db.doc('rosteringRuns/r1').set({ state: 'done' });
  await sdks.db.doc('rosteringRuns/r1/stats/user__created').set({ count: 1 });
  await sdks.db.doc('rosteringPartners/p1').set({ name: 'p1' });
  const paths = ['rosteringRuns/r1', 'rosteringRuns/r1/stats/user__created', 'rosteringPartners/p1'];
  for (const path of paths) {
    await read(superAdmin, path);
    for (const who of [nobody, student, admin]) await refused(read(who, path));
    for (const who of [student, admin, superAdmin]) await refused(setDoc(doc(who.db, path), {}));
  }
});
