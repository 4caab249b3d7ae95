// A district as a test needs it: two schools, four classes, a group within a class, its students,
// and people who must get nothing.

import { Timestamp } from 'firebase-admin/firestore';

import { secret } from './secrets.mjs';

export const ORG_TYPES = ['districts', 'schools', 'classes', 'groups', 'families'];
const GRADES = ['Kindergarten', '1', '2', '3', '4', '5'];
const ENROLLED = Timestamp.fromDate(new Date('2025-08-18T00:00:00Z'));

/** All five lists, as the backend writes them. */
export function orgLists(orgs) {
  return Object.fromEntries(ORG_TYPES.map((type) => [type, orgs[type] ?? []]));
}

const ORGS = {
  'districts/district-1': { name: 'Valley Unified', abbreviation: 'val', schools: ['school-1', 'school-2'] },
  'schools/school-1': { name: 'Oak Elementary', districtId: 'district-1', classes: ['class-1', 'class-2'] },
  'schools/school-2': { name: 'Elm Elementary', districtId: 'district-1', classes: ['class-3', 'class-4'] },
  'classes/class-1': { name: 'Room 1', schoolId: 'school-1', districtId: 'district-1', subGroups: ['group-1'] },
  'classes/class-2': { name: 'Room 2', schoolId: 'school-1', districtId: 'district-1' },
  'classes/class-3': { name: 'Room 3', schoolId: 'school-2', districtId: 'district-1' },
  'classes/class-4': { name: 'Room 4', schoolId: 'school-2', districtId: 'district-1' },
  'groups/group-1': { name: 'Early readers', parentOrgType: 'class', parentOrgId: 'class-1' },
  'districts/district-2': { name: 'Hill Unified', abbreviation: 'hil', schools: ['school-3'] },
  'schools/school-3': { name: 'Ash Elementary', districtId: 'district-2', classes: ['class-5'] },
  'classes/class-5': { name: 'Room 5', schoolId: 'school-3', districtId: 'district-2' },
};

/** Every org under `district-1`. */
export const DISTRICT_1 = orgLists({
  districts: ['district-1'],
  schools: ['school-1', 'school-2'],
  classes: ['class-1', 'class-2', 'class-3', 'class-4'],
  groups: ['group-1'],
});

const DISTRICT_2 = orgLists({ districts: ['district-2'], schools: ['school-3'], classes: ['class-5'] });

const SCHOOL_OF = {
  'class-1': 'school-1',
  'class-2': 'school-1',
  'class-3': 'school-2',
  'class-4': 'school-2',
  'class-5': 'school-3',
};

/** The ancestors of some orgs of district 1, and the orgs themselves. */
export function withAncestors(orgs) {
  const classes = new Set(orgs.classes);
  if (orgs.groups.includes('group-1')) classes.add('class-1');
  const schools = new Set([...orgs.schools, ...[...classes].map((id) => SCHOOL_OF[id])]);
  const districts = new Set([...orgs.districts, ...(schools.size > 0 ? ['district-1'] : [])]);
  return orgLists({ ...orgs, districts: [...districts], schools: [...schools], classes: [...classes] });
}

function orgsMap(ids) {
  const dates = Object.fromEntries(ids.map((id) => [id, { from: ENROLLED, to: null }]));
  return { current: ids, all: ids, dates };
}

function user(id, orgs, { userType = 'student', grade = '3', archived = false } = {}) {
  const lists = orgLists(orgs);
  secret(`First ${id}`, `Last ${id}`, `${id}@example.org`, '2016-02-29');
  return {
    userType,
    name: { first: `First ${id}`, middle: null, last: `Last ${id}` },
    email: `${id}@example.org`,
    username: id,
    assessmentPid: `val-${id}`,
    assessmentUid: `assessment-${id}`,
    archived,
    ...Object.fromEntries(ORG_TYPES.map((type) => [type, orgsMap(lists[type])])),
    ...(userType === 'student' && {
      studentData: { dob: Timestamp.fromDate(new Date('2016-02-29T00:00:00Z')), grade, ell_status: 'EL' },
    }),
  };
}

function inClass(room, extra = {}) {
  const school = SCHOOL_OF[room];
  return { districts: [school === 'school-3' ? 'district-2' : 'district-1'], schools: [school], classes: [room], ...extra };
}

/** Sixty students in the grades K to 5 over the four classes; some of class 1 are in the group too. */
function students() {
  return Array.from({ length: 60 }, (_, i) => {
    const id = `student-${String(i).padStart(2, '0')}`;
    const room = `class-${(Math.floor(i / 6) % 4) + 1}`;
    const groups = room === 'class-1' && i % 2 === 0 ? ['group-1'] : [];
    return [id, user(id, inClass(room, { groups }), { grade: GRADES[i % 6] })];
  });
}

/** Who gets assignments from district 1: `Map` of user ID to document. */
export const STUDENTS = new Map([
  ...students(),
  // In a class, and in neither its school nor its district.
  ['class-only', user('class-only', { classes: ['class-1'] })],
]);

/** Who never gets any. */
export const OTHERS = new Map([
  ['archived', user('archived', inClass('class-1'), { archived: true })],
  ['educator', user('educator', inClass('class-1'), { userType: 'educator' })],
  ['outside', user('outside', inClass('class-5'))],
]);

const ADMINS = {
  super: { super_admin: true },
  'district-admin': { adminOrgs: DISTRICT_1, minimalAdminOrgs: orgLists({ districts: ['district-1'] }) },
  'other-admin': { adminOrgs: DISTRICT_2, minimalAdminOrgs: orgLists({ districts: ['district-2'] }) },
};

/** An administrator's e-mail, or a student's. */
export const emailOf = (id) => `${id}@example.org`;

/** Writes all of it, and makes accounts for the administrators and the named students. */
export async function seed(sdks, studentsWithAccounts) {
  const writer = sdks.db.bulkWriter();
  for (const [path, fields] of Object.entries(ORGS)) writer.set(sdks.db.doc(path), { archived: false, ...fields });
  for (const [id, fields] of [...STUDENTS, ...OTHERS]) writer.set(sdks.db.doc(`users/${id}`), fields);
  for (const [id, rights] of Object.entries(ADMINS)) {
    const uids = { roarUid: id, adminUid: `uid-${id}`, assessmentUid: `assessment-${id}` };
    writer.set(sdks.db.doc(`users/${id}`), {
      ...user(id, {}, { userType: 'admin' }),
      adminData: { administrationsCreated: [] },
    });
    writer.set(sdks.db.doc(`userClaims/uid-${id}`), { claims: { ...uids, ...rights }, lastUpdated: Date.now() });
  }
  await writer.close();
  for (const id of [...Object.keys(ADMINS), ...studentsWithAccounts]) {
    const claims = { roarUid: id, adminUid: `uid-${id}`, assessmentUid: `assessment-${id}` };
    if (ADMINS[id]?.super_admin) claims.super_admin = true;
    await sdks.createAccount({ uid: `uid-${id}`, email: emailOf(id), claims });
  }
}
