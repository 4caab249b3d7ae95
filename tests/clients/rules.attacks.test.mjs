// What somebody hostile would write or read, with the client library's own write beside it: the one is refused and the
// other accepted. Sizes are tried in rules.shapes.test.mjs.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  arrayRemove, arrayUnion, deleteField, doc, getDoc, increment, serverTimestamp, setDoc, updateDoc, writeBatch,
} from 'firebase/firestore';

import { ASSIGNMENT, claimsOf, DOCUMENTS, lists, maps, ORGS, RUN, TRIAL } from './support/rules-documents.mjs';
import { assignment, begun, tasks } from './support/rules-large.mjs';
import { mismatches, openRules } from './support/rules.mjs';

const STUDENT = 'users/student';
const FALL = `${STUDENT}/assignments/fall`;
const R1 = `${STUDENT}/runs/r1`;
const EVERY = ['student', 'parent', 'admin', 'superAdmin'];
const ago = (minutes) => new Date(Date.now() - minutes * 60_000);

const rules = {};

before(async () => {
  for (const name of ['admin', 'assessment']) rules[name] = await openRules(name, { projectId: `demo-rules-attacks-${name}` });
});

beforeEach(async () => {
  for (const name of ['admin', 'assessment']) await rules[name].seed(DOCUMENTS[name]);
});

after(async () => {
  for (const each of Object.values(rules)) await each.close();
});

const tried = async (name, allowed, people, attempt) =>
  assert.deepEqual(await mismatches(people.map((who) => ({ what: who, allowed, attempt: () => attempt(rules[name].db[who], who) }))), []);
const accepted = (name, people, attempt) => tried(name, true, [people].flat(), attempt);
const refused = (name, people, attempt) => tried(name, false, [people].flat(), attempt);

describe('assignments', () => {
  const entries = tasks(3).map(({ conditions: _, ...entry }) => ({ ...entry, optional: false }));
  const work = (change) => (db) => {
    const assessments = structuredClone(entries);
    change(assessments);
    return updateDoc(doc(db, FALL), { assessments });
  };

  const seeded = (assessments) => () => rules.admin.seed({ [FALL]: { ...ASSIGNMENT, assessments, started: true, completed: true } });
  const begin = seeded(entries);
  /** Each of a document as it was seeded: what one has begun, the next would take back. */
  const eachAccepted = async (seed, attempt) => {
    for (const who of EVERY) {
      await seed();
      await accepted('admin', who, attempt);
    }
  };

  beforeEach(begin);

  test("entries keep everything but the task's own times", async () => {
    for (const [field, value] of Object.entries({
      taskId: '__x__', params: { skip: true }, variantId: 'other', variantName: 'other', optional: true, runId: 'r9', allRunIds: ['r9'],
      allowRetake: true, extra: 'x',
    })) {
      await refused('admin', EVERY, work((all) => { all[1][field] = value; }));
      await refused('admin', EVERY, work((all) => { Object.assign(all[1], { startedOn: new Date(), [field]: value }); }));
    }
    await refused('admin', EVERY, work((all) => all.reverse()));
    await refused('admin', EVERY, work((all) => { delete all[2].variantId; }));
    await refused('admin', EVERY, work((all) => { all[0] = all[1]; }));
    await eachAccepted(begin, work((all) => { all[1].startedOn = new Date(); }));
    await eachAccepted(begin, work((all) => { Object.assign(all[1], { startedOn: new Date(), completedOn: new Date() }); }));
    await eachAccepted(begin, work((all) => { Object.assign(all[2], { videoStartedOn: new Date(), rewardShown: true }); }));
  });

  test('what is done stays done', async () => {
    await refused('admin', EVERY, (db) => updateDoc(doc(db, FALL), { started: false }));
    await refused('admin', EVERY, (db) => updateDoc(doc(db, FALL), { completed: false }));
    await rules.admin.seed({ [FALL]: { ...ASSIGNMENT, assessments: [{ ...entries[0], startedOn: ago(5) }, ...entries.slice(1)] } });
    await refused('admin', EVERY, work(() => {}));
    await accepted('admin', EVERY, work((all) => { all[0].startedOn = new Date(); }));
  });

  test('entries after the first 64 are fixed', async () => {
    const { assessments } = assignment(70);
    await seeded(assessments)();
    const start = (index) => (db) =>
      updateDoc(doc(db, FALL), { assessments: assessments.map((entry, at) => (at === index ? { ...entry, startedOn: new Date() } : entry)) });
    await refused('admin', EVERY, start(64));
    await refused('admin', EVERY, start(69));
    await eachAccepted(seeded(assessments), start(63));
    await eachAccepted(seeded(assessments), start(0));
  });

  test('an odd document is still worked on', async () => {
    const odd = [{ taskId: '__x__', startedOn: null, completedOn: 'once', params: { big: 'x'.repeat(100_000) } }, ...entries.slice(1)];
    const seed = seeded(odd);
    await eachAccepted(seed, (db) => updateDoc(doc(db, FALL), { assessments: [odd[0], { ...odd[1], startedOn: new Date() }, odd[2]], started: true }));
    await eachAccepted(seed, (db) => updateDoc(doc(db, FALL), { assessments: [{ ...odd[0], startedOn: new Date() }, ...odd.slice(1)] }));
  });
});

describe('consent', () => {
  const first = { dateSigned: new Date('2026-01-01') };
  const second = { dateSigned: new Date('2026-02-01'), amount: '', expectedTime: '' };
  const SIGNED = { consent: { v1: [first, second] }, tos: { v1: [first] } };
  const sign = (fields) => (db) => updateDoc(doc(db, STUDENT), fields);

  beforeEach(() => rules.admin.seed({ [STUDENT]: { ...DOCUMENTS.admin[STUDENT], legal: SIGNED } }));

  test('is added to by whoever gives it', async () => {
    const now = { dateSigned: new Date() };
    // A clock may be wrong.
    for (const entry of [now, { dateSigned: new Date('2001-01-01') }, { dateSigned: new Date('2099-01-01'), amount: '$10' }, { dateSigned: '2026-01-01T00:00:00Z' }]) {
      await accepted('admin', 'student', sign({ 'legal.consent.v1': arrayUnion(entry) }));
    }
    await accepted('admin', 'student', sign({ 'legal.consent.v2': arrayUnion(now) }));
    await accepted('admin', 'student', sign({ 'legal.assent.v1': arrayUnion(now) }));
    // Once more is no change.
    await accepted('admin', 'student', sign({ 'legal.tos.v1': arrayUnion(first) }));
    for (const version of ['consent.v1', 'consent.v9', 'new.v1']) {
      await refused('admin', ['parent', 'admin', 'superAdmin', 'otherStudent'], sign({ [`legal.${version}`]: arrayUnion({ dateSigned: new Date('2026-03-03') }) }));
    }
  });

  test('is rewritten by nobody', async () => {
    const other = { dateSigned: new Date('2020-01-01') };
    for (const fields of [
      { legal: {} }, { legal: deleteField() }, { 'legal.tos': deleteField() }, { 'legal.consent.v1': [first] }, { 'legal.consent.v1': [] },
      { 'legal.consent.v1': [other, second] }, { 'legal.consent.v1': [second, first] }, { 'legal.consent.v1': [other, second, first] },
      { 'legal.consent.v1': [first, other, second] }, { 'legal.consent.v1': arrayRemove(first) }, { 'legal.consent': { v2: [other] } },
      { 'legal.consent': { v2: [other], v1: [first, second] }, 'legal.tos': { v1: [other] } }, { 'legal.tos.v1': { dateSigned: new Date() } },
    ]) {
      await refused('admin', EVERY, sign(fields));
    }
  });
});

describe('users', () => {
  test('keep what links them to a roster, what is theirs in Auth, and what the backend counts', async () => {
    for (const field of ['importedIdentity', 'emailKey', 'email', 'username', 'assessmentPid', 'childrenUids', 'registrations', 'sisId', 'unknown']) {
      await refused('admin', EVERY, (db) => updateDoc(doc(db, STUDENT), { [field]: 'x' }));
    }
    for (const field of ['state_id', 'sis_id', 'student_number', 'schoolLevel']) {
      await refused('admin', EVERY, (db) => updateDoc(doc(db, STUDENT), { [`studentData.${field}`]: 'x' }));
    }
    // As the form sends it: with the type as it is.
    await accepted('admin', ['parent', 'admin', 'superAdmin'], (db, who) => setDoc(doc(db, STUDENT), {
      name: { first: who, middle: null, last: 'B' }, testData: false, demoData: false, userType: 'student',
      studentData: { dob: new Date('2016-02-29'), grade: '5', gender: '', race: [], hispanic_ethnicity: false, ell_status: false, frl_status: null, iep_status: false },
    }, { merge: true }));
    await accepted('admin', ['admin'], (db) => updateDoc(doc(db, STUDENT), { password: 'a new password' }));
  });

  test('lose their rights while they are suspended', async () => {
    const rights = [...['admin', 'superAdmin'].map((who) => [`userClaims/uid-${who}`, { ...DOCUMENTS.admin[`userClaims/uid-${who}`], suspended: true }])];
    for (const name of ['admin', 'assessment']) await rules[name].seed(Object.fromEntries(rights));
    for (const attempt of [
      (db) => getDoc(doc(db, STUDENT)), (db) => updateDoc(doc(db, STUDENT), { 'studentData.grade': '4' }), (db) => getDoc(doc(db, FALL)),
      (db) => getDoc(doc(db, 'schools/s1')), (db) => getDoc(doc(db, 'administrations/fall')), (db) => getDoc(doc(db, 'administrations/fall/stats/total')),
    ]) await refused('admin', ['admin', 'superAdmin'], attempt);
    for (const attempt of [(db) => getDoc(doc(db, STUDENT)), (db) => getDoc(doc(db, R1)), (db) => updateDoc(doc(db, R1), { reliable: true })]) {
      await refused('assessment', ['admin', 'superAdmin'], attempt);
    }
    for (const name of ['admin', 'assessment']) {
      await rules[name].seed(Object.fromEntries(rights.map(([path, claims]) => [path, { ...claims, suspended: false }])));
      await accepted(name, ['admin', 'superAdmin'], (db) => getDoc(doc(db, STUDENT)));
    }
  });
});

describe('orgs', () => {
  const batch = (...writes) => (db) => {
    const all = writeBatch(db);
    for (const [operation, path, fields] of writes) all[operation](doc(db, path), ...(fields ? [fields] : []));
    return all.commit();
  };
  const ADMINS = ['admin', 'superAdmin'];

  beforeEach(() => rules.admin.seed({
    'districts/d1': { name: 'x', archived: false, schools: ['s1'] },
    'districts/d2': { name: 'x', schools: ['s2'] },
    'schools/s1': { name: 'x', districtId: 'd1', classes: ['c1'] },
    'schools/s2': { name: 'x', districtId: 'd2', classes: ['c2'] },
    'classes/c1': { name: 'x', schoolId: 's1', districtId: 'd1' },
    'classes/c2': { name: 'x', schoolId: 's2', districtId: 'd2' },
    'groups/g1': { name: 'x' },
  }));

  test("a child of somebody else isn't pulled in", async () => {
    for (const fields of [
      { classes: ['c1', 'c2'] }, { classes: arrayUnion('c2') }, { classes: ['c2'] }, { classes: [] }, { classes: arrayRemove('c1') },
      { classes: arrayUnion('missing') }, { classes: ['c1', 'c1'] }, { classes: deleteField() }, { schools: ['s2'] }, { subGroups: arrayUnion('g1') },
      { archivedClasses: ['c2'] },
    ]) await refused('admin', ADMINS, (db) => updateDoc(doc(db, 'schools/s1'), fields));
    await refused('admin', ADMINS, (db, who) => setDoc(doc(db, `schools/by-${who}`), { name: 'x', districtId: 'd1', classes: ['c2'] }));
    await refused('admin', ADMINS, batch(['set', 'classes/new', { name: 'x', schoolId: 's1' }], ['update', 'districts/d1', { schools: arrayUnion('new') }]));
  });

  test("nothing is made below what is somebody else's", async () => {
    const made = (path, fields) => (db, who) => setDoc(doc(db, `${path}-by-${who}`), { name: 'x', archived: false, ...fields });
    await refused('admin', 'admin', made('classes/c', { schoolId: 's1', districtId: 'd2' }));
    await refused('admin', 'admin', made('classes/c', { schoolId: 's2', districtId: 'd1' }));
    await refused('admin', 'admin', made('groups/g', { parentOrgType: 'class', parentOrgId: 'c1', familyId: 'f2' }));
    for (const [n, districtId] of ['d1', null, ''].entries()) {
      await accepted('admin', 'admin', made(`classes/c${n}`, { schoolId: 's1', districtId }));
    }
  });

  test('no two have one ID, and none has the name of what counts all', async () => {
    const made = (path) => (db) => setDoc(doc(db, path), { name: 'x', archived: false, districtId: 'd1', schoolId: 's1' });
    for (const path of [
      'classes/s1', 'classes/d1', 'classes/g1', 'classes/f1', 'schools/c1', 'schools/total', 'classes/completion', 'districts/s1', 'families/g1',
    ]) await refused('admin', ADMINS, made(path));
    // Not at the same time either.
    await refused('admin', ADMINS, batch(
      ['set', 'schools/twice', { name: 'x', archived: false, districtId: 'd1' }],
      ['set', 'classes/twice', { name: 'x', archived: false, districtId: 'd1', schoolId: 's1' }],
    ));
    await accepted('admin', 'admin', made('schools/alone'));
    await accepted('admin', 'superAdmin', made('families/alone-too'));
  });

  test('null is no list yet', async () => {
    const none = { name: 'x', archived: false, schools: null, classes: null, subGroups: null };
    await rules.admin.seed({ 'schools/s1': { ...none, districtId: 'd1' } });
    await accepted('admin', 'admin', batch(
      ['set', 'classes/first', { name: 'x', archived: false, schoolId: 's1', districtId: 'd1' }], ['update', 'schools/s1', { classes: arrayUnion('first') }],
    ));
    await rules.admin.seed({ [STUDENT]: { ...DOCUMENTS.admin[STUDENT], legal: null }, 'users/admin': { userType: 'admin', adminData: null } });
    await accepted('admin', 'student', (db) => updateDoc(doc(db, STUDENT), { 'legal.tos.v1': arrayUnion({ dateSigned: new Date() }) }));
    await rules.admin.seed({ [STUDENT]: { ...DOCUMENTS.admin[STUDENT], legal: { tos: { v1: null } } } });
    await accepted('admin', 'student', (db) => updateDoc(doc(db, STUDENT), { 'legal.tos.v1': arrayUnion({ dateSigned: new Date() }) }));
    await accepted('admin', 'admin', (db) => updateDoc(doc(db, 'users/admin'), { 'adminData.administrationsCreated': arrayUnion('a1') }));
  });

  test('the client library makes, moves and deletes them', async () => {
    for (const who of ADMINS) {
      await accepted('admin', who, batch(
        ['set', `classes/by-${who}`, { name: 'x', archived: false, schoolId: 's1', districtId: 'd1', grade: 3 }],
        ['update', 'schools/s1', { classes: arrayUnion(`by-${who}`) }],
      ));
      await accepted('admin', who, batch(
        ['set', `schools/school-by-${who}`, { name: 'x', archived: false, districtId: 'd1' }],
        ['update', 'districts/d1', { schools: arrayUnion(`school-by-${who}`) }],
      ));
      for (const [type, id] of [['class', 'c1'], ['school', 's1'], ['district', 'd1']]) {
        const parent = `${{ class: 'classes', school: 'schools', district: 'districts' }[type]}/${id}`;
        await accepted('admin', who, batch(
          ['set', `groups/of-${type}-by-${who}`, { name: 'x', archived: false, parentOrgType: type, parentOrgId: id }],
          ['update', parent, { subGroups: arrayUnion(`of-${type}-by-${who}`) }],
        ));
      }
    }
    await accepted('admin', 'superAdmin', batch(
      ['set', 'groups/of-family', { name: 'x', archived: false, familyId: 'f1' }], ['update', 'families/f1', { subGroups: arrayUnion('of-family') }],
    ));
    const move = batch(
      ['update', 'schools/s1', { classes: arrayRemove('c1') }], ['update', 'schools/s2', { classes: arrayUnion('c1') }],
      ['update', 'classes/c1', { name: 'x', archived: false, schoolId: 's2', districtId: 'd2' }],
    );
    await refused('admin', 'admin', move);
    await accepted('admin', 'superAdmin', move);
    await accepted('admin', 'superAdmin', batch(['update', 'schools/s2', { classes: arrayRemove('c2') }], ['delete', 'classes/c2']));
    await accepted('admin', ADMINS, (db, who) => updateDoc(doc(db, 'schools/s1'), { name: who, abbreviation: 'x', address: '', ncesId: '', tags: [], archived: false }));
  });

  test("students don't read them, and administrators below them do", async () => {
    await rules.admin.seed({
      'users/teacher': { userType: 'educator', ...maps({ districts: ['d1'], schools: ['s1'] }) },
      'userClaims/uid-pretender': claimsOf('pretender', { role: 'admin', adminOrgs: lists({ classes: ['c1'] }) }),
      'users/pretender': { userType: 'admin', ...maps({ districts: ['d1'], schools: ['s1'] }) },
    });
    for (const path of ['districts/d1', 'schools/s1', 'classes/c1', 'families/f1']) {
      await refused('admin', ['student', 'otherStudent', 'signedOut'], (db) => getDoc(doc(db, path)));
    }
    for (const path of ['districts/d1', 'schools/s1', 'classes/c1']) await accepted('admin', 'pretender', (db) => getDoc(doc(db, path)));
    await refused('admin', 'pretender', (db) => getDoc(doc(db, 'districts/d2')));
    await refused('admin', 'parent', (db) => getDoc(doc(db, 'districts/d1')));
    await accepted('admin', 'parent', (db) => getDoc(doc(db, 'families/f1')));
  });
});

describe('runs', () => {
  const after = (fields) => (db) => updateDoc(doc(db, R1), fields);
  const TRIAL_WRITES = [
    { 'scores.raw.composite.test': { thetaEstimate: 0.1, thetaSE: 0.1, numAttempted: 2, numCorrect: 1, numIncorrect: 1 }, 'scores.computed.composite': 480 },
    { 'interactions.test_response.blur': increment(1) },
    { engagementFlags: { incomplete: true }, reliable: true, reliableByBlock: { FSM: true } },
  ];
  const finished = (minutes) => rules.assessment.seed({
    [R1]: { ...RUN, completed: true, timeFinished: ago(minutes) }, [`${R1}/trials/t1`]: { ...TRIAL, serverTimestamp: ago(minutes) },
  });
  const trial = (db, who) => setDoc(doc(db, `${R1}/trials/by-${who}`), { ...TRIAL, serverTimestamp: serverTimestamp() });
  const left = (db) => updateDoc(doc(db, `${R1}/trials/t1`), { interaction_blur: [1] });

  test('end with the time of the server, and stay ended', async () => {
    await refused('assessment', EVERY, after({ completed: true }));
    await refused('assessment', EVERY, after({ completed: true, timeFinished: new Date() }));
    await accepted('assessment', 'student', after({ completed: true, timeFinished: serverTimestamp(), reasonTaskEnded: 'x' }));
    for (const fields of [
      { completed: false }, { completed: deleteField() }, { timeFinished: null }, { timeFinished: deleteField() }, { timeFinished: new Date() },
      { timeFinished: serverTimestamp(), scores: { raw: {}, computed: {}, other: 1 } }, { timeFinished: serverTimestamp(), variantId: 'other' },
      { timeStarted: serverTimestamp() },
      { variantId: 'other' }, { testData: true }, { reasonTaskEnded: 'y' }, { another: 'x' },
    ]) await refused('assessment', EVERY, after(fields));
  });

  test("the last trial's writes may come after the end, and an hour later nothing does", async () => {
    for (const fields of TRIAL_WRITES) {
      await finished(50);
      await accepted('assessment', EVERY, after(fields));
      await finished(61);
      await refused('assessment', EVERY, after(fields));
    }
    await finished(50);
    await accepted('assessment', EVERY, trial);
    await finished(61);
    await refused('assessment', EVERY, (db, who) => trial(db, `late-${who}`));
    // Whose end has no time ended before there were such rules.
    await rules.assessment.seed({ [R1]: { ...RUN, completed: true } });
    await refused('assessment', EVERY, after(TRIAL_WRITES[0]));
    await refused('assessment', EVERY, (db, who) => trial(db, `old-${who}`));
  });

  test("trials don't change but once, in what happened to the window", async () => {
    await finished(5);
    await refused('assessment', EVERY, (db) => updateDoc(doc(db, `${R1}/trials/t1`), { correct: false }));
    await refused('assessment', EVERY, (db) => updateDoc(doc(db, `${R1}/trials/t1`), { interaction_blur: [1], rt: 1 }));
    await refused('assessment', EVERY, (db) => setDoc(doc(db, `${R1}/trials/t1`), { ...TRIAL, correct: false, serverTimestamp: serverTimestamp() }));
    await accepted('assessment', 'student', left);
    await refused('assessment', EVERY, (db) => setDoc(doc(db, `${R1}/trials/t1`), { ...TRIAL, serverTimestamp: serverTimestamp() }));
    await refused('assessment', EVERY, (db) => updateDoc(doc(db, `${R1}/trials/t1`), { interaction_blur: [2] }));
    await finished(61);
    await refused('assessment', EVERY, left);
  });

  // A client that loses its connection before it hears of what it wrote writes it again.
  test('are written a second time as they were', async () => {
    const twice = async (attempt) => {
      await accepted('assessment', EVERY, attempt);
      await accepted('assessment', EVERY, attempt);
    };
    const end = { completed: true, timeFinished: serverTimestamp(), reasonTaskEnded: 'x' };
    await twice((db, who) => setDoc(doc(db, `${STUDENT}/runs/of-${who}`), { ...begun(`of-${who}`), assigningOrgs: null, readOrgs: null }));
    await twice((db, who) => setDoc(doc(db, `${STUDENT}/runs/of-${who}/trials/t`), { ...TRIAL, serverTimestamp: serverTimestamp() }));
    await twice((db, who) => updateDoc(doc(db, `${STUDENT}/runs/of-${who}/trials/t`), { interaction_blur: [1] }));
    await twice((db, who) => updateDoc(doc(db, `${STUDENT}/runs/of-${who}`), end));
    await finished(1);
    await accepted('assessment', EVERY, after({ timeFinished: serverTimestamp() }));
    // What changes nothing is written at any time.
    await finished(61);
    await accepted('assessment', EVERY, after({ completed: true, 'scores.raw': {} }));
    await accepted('assessment', EVERY, (db) => updateDoc(doc(db, `${R1}/trials/t1`), { correct: true }));
    // A new time is none of these.
    await refused('assessment', EVERY, after({ timeFinished: serverTimestamp() }));
    await refused('assessment', EVERY, (db) => setDoc(doc(db, `${R1}/trials/t1`), { ...TRIAL, serverTimestamp: serverTimestamp() }));
    await finished(3);
    await refused('assessment', EVERY, after({ timeFinished: serverTimestamp() }));
    await rules.assessment.seed({ [R1]: RUN });
    await refused('assessment', EVERY, after({ timeStarted: serverTimestamp() }));
  });

  test('begin as themselves, now, and with nothing done', async () => {
    const create = (fields) => (db) => setDoc(doc(db, `${STUDENT}/runs/x`), { ...begun('x'), ...fields });
    for (const fields of [
      { id: 'y' }, { completed: true }, { timeStarted: ago(60) }, { timeFinished: serverTimestamp() }, { engagementFlags: {} }, { interactions: {} },
      { taskId: '__x__' }, { assignmentId: '__x__' }, { note: { deep: 'x'.repeat(6000) } }, { note: 'x'.repeat(5001) },
    ]) await refused('assessment', EVERY, create(fields));
    await refused('assessment', EVERY, (db) => setDoc(doc(db, `${STUDENT}/runs/${'x'.repeat(129)}`), begun('x'.repeat(129))));
    await refused('assessment', EVERY, (db) => setDoc(doc(db, `${STUDENT}/runs/x/trials/t`), { ...TRIAL, serverTimestamp: serverTimestamp() }));
    await accepted('assessment', 'student', create({ labId: 'x' }));
    await accepted('assessment', 'student', (db) => setDoc(doc(db, `${STUDENT}/runs/x/trials/t`), { ...TRIAL, serverTimestamp: serverTimestamp() }));
  });
});

test('tasks and variants of a student gain one, and lose none', async () => {
  await rules.assessment.seed({ [STUDENT]: { ...DOCUMENTS.assessment[STUDENT], tasks: ['swr', 'pa'], variants: null } });
  for (const fields of [{ tasks: ['swr'] }, { tasks: [] }, { tasks: deleteField() }, { tasks: null }, { tasks: ['swr', 'pa', 'a', 'b'] }, { tasks: ['x', 'y', 'z'] }]) {
    await refused('assessment', EVERY, (db) => updateDoc(doc(db, STUDENT), fields));
  }
  await accepted('assessment', 'student', (db) => updateDoc(doc(db, STUDENT), { tasks: arrayUnion('sre'), variants: arrayUnion('v1'), lastUpdated: serverTimestamp() }));
});

test('what is renewed alone has the time of the server', async () => {
  for (const path of ['tasks/swr', 'tasks/swr/variants/v1', STUDENT]) {
    await refused('assessment', 'student', (db) => updateDoc(doc(db, path), { lastUpdated: ago(5) }));
    await refused('assessment', 'student', (db) => updateDoc(doc(db, path), { lastUpdated: 'x'.repeat(1000) }));
    await accepted('assessment', 'student', (db) => updateDoc(doc(db, path), { lastUpdated: serverTimestamp() }));
  }
});

test('an administration keeps what the backend says of it', async () => {
  for (const field of ['readOrgs', 'syncStatus', 'syncProblems', 'unknown']) {
    await refused('admin', ['admin', 'superAdmin'], (db) => updateDoc(doc(db, 'administrations/fall'), { [field]: 'x' }));
  }
  await accepted('admin', ['admin', 'superAdmin'], (db) => updateDoc(doc(db, 'administrations/fall'), { classes: arrayUnion(...ORGS.classes) }));
});
