// People, orgs and documents that the tests of the security rules begin with.

export const TYPES = ['districts', 'schools', 'classes', 'groups', 'families'];
export const lists = (orgs) => Object.fromEntries(TYPES.map((type) => [type, orgs[type] ?? []]));
export const maps = (orgs) => Object.fromEntries(TYPES.map((type) => [type, { current: orgs[type] ?? [], all: orgs[type] ?? [] }]));

export const ORGS = { districts: ['d1'], schools: ['s1'], classes: ['c1'], families: ['f1'] };
export const EARLIER = new Date('2026-01-01T00:00:00Z');
export const LATER = new Date('2099-01-01T00:00:00Z');

export const claimsOf = (who, rights) => ({ claims: { roarUid: who, ...rights }, lastUpdated: 1 });
export const CLAIMS = {
  'userClaims/uid-student': claimsOf('student', {}),
  'userClaims/uid-admin': claimsOf('admin', { role: 'admin', adminOrgs: lists({ ...ORGS, families: [] }) }),
  'userClaims/uid-otherAdmin': claimsOf('other-admin', { role: 'admin', adminOrgs: lists({ districts: ['d2'], schools: ['s2'] }) }),
  'userClaims/uid-parent': claimsOf('parent', { role: 'launch_admin', adminOrgs: lists({ families: ['f1'] }) }),
  'userClaims/uid-platformAdmin': claimsOf('platform-admin', { role: 'platform_admin', adminOrgs: lists({}) }),
  'userClaims/uid-superAdmin': claimsOf('super-admin', { role: 'super_admin', super_admin: true }),
};

export const ASSIGNMENT = {
  id: 'fall', started: false, completed: false, testData: false, dateOpened: EARLIER, dateClosed: LATER,
  assigningOrgs: lists(ORGS), readOrgs: lists(ORGS), userData: { grade: '3' }, conditionFields: ['grade'],
  assessments: [{ taskId: 'swr', optional: false, params: {} }], progress: { swr: 'assigned' }, counted: { assigned: true },
};
export const ADMINISTRATION = {
  name: 'Fall', createdBy: 'admin', formatVersion: 2, minimalOrgs: lists({ districts: ['d1'] }), readOrgs: lists(ORGS),
  assessments: [], testData: false, dateClosed: LATER,
};
export const USER = {
  userType: 'student', username: 'u1', archived: false, assessmentUid: 'uid-student', ...maps(ORGS),
  studentData: { grade: '3' }, assignments: { assigned: ['fall'], started: [], completed: [] },
};
export const RUN = {
  id: 'r1', assignmentId: 'fall', taskId: 'swr', variantId: 'v1', completed: false, reliable: false, timeStarted: EARLIER,
  assigningOrgs: lists(ORGS), readOrgs: lists(ORGS), userData: { grade: '3' }, scores: { raw: {}, computed: {} },
};
const MARKED = { ...RUN, bestRun: true, cloudSyncTimestamp: 1 };
export const TRIAL = { assessment_stage: 'test_response', correct: true, taskId: 'swr' };

export const DOCUMENTS = {
  admin: {
    ...CLAIMS,
    'users/student': USER,
    'users/other-student': { ...USER, ...maps({ districts: ['d2'] }) },
    'users/admin': { userType: 'admin', archived: false, adminData: { administrationsCreated: [] } },
    'users/student/assignments/fall': ASSIGNMENT,
    'administrations/fall': ADMINISTRATION,
    // Made by somebody from whom the orgs have been taken since.
    'administrations/past': { ...ADMINISTRATION, minimalOrgs: lists({ districts: ['d2'] }), readOrgs: lists({ districts: ['d2'] }) },
    ...Object.fromEntries(TYPES.map((type) => [`${type}/${type[0]}1`, { name: 'x', archived: false }])),
    'legal/consent': { fileName: 'consent.md' },
    'activationCodes/x': { orgId: 'd1' },
  },
  assessment: {
    ...CLAIMS,
    'users/student': { userType: 'student', assessmentPid: 'p1', grade: '3', birthMonth: 1, birthYear: 2016, ...maps(ORGS) },
    // Without a list of groups.
    'users/other-student': { userType: 'student', districts: { current: ['d2'] } },
    // Old: with a list of classes alone.
    'users/class-only': { userType: 'student', classes: { current: ['c1'] } },
    'users/student/runs/r1': MARKED,
    'users/student/runs/r1/trials/t1': TRIAL,
    'guests/uid-student': { userType: 'guest' },
    'guests/uid-student/runs/r1': RUN,
    'guests/uid-student/runs/r1/trials/t1': TRIAL,
    'guests/uid-pretender': { userType: 'guest' },
    'tasks/swr': { name: 'swr', taskURL: 'https://example.org', registered: true },
    'tasks/swr/variants/v1': { name: 'v1', params: { language: 'en' }, registered: true, lastUpdated: EARLIER },
  },
};
