// Every field that clients may write, on the emulator: what is at its bound is accepted, and what is beyond is refused.
// The rows are those of the rules, and so are those of docs/client-writes.md.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { doc, serverTimestamp, setDoc, updateDoc } from 'firebase/firestore';

import { ASSIGNMENT, DOCUMENTS, EARLIER, lists, RUN, TRIAL } from './support/rules-documents.mjs';
import { administration, begun, many, named, org } from './support/rules-large.mjs';
import { mismatches, openRules } from './support/rules.mjs';
import { DOCUMENT, parseShapes, readRules, sharedPart, withTable } from './support/shapes.mjs';

const SHAPES = parseShapes(readRules('admin'));

test('both databases have the same sizes and shapes', () => {
  assert.equal(sharedPart(readRules('admin')), sharedPart(readRules('assessment')));
});

test('the table in docs/client-writes.md is what the rules make', () => {
  const document = readFileSync(DOCUMENT, 'utf8');
  assert.equal(document, withTable(document), 'run scripts/client-writes');
});

test('what may change in a document is what has a row', () => {
  const shared = sharedPart(readRules('admin'));
  for (const { name, rows } of SHAPES) {
    const body = shared.slice(shared.indexOf(`function ${name}(`)).split('\n    }\n')[0];
    const only = /return c\.hasOnly\(\[([^\]]*)\]\)/.exec(body);
    if (!only) continue; // a game adds fields of its own, or the caller says which they are
    const fields = only[1].split(',').map((each) => each.trim().slice(1, -1));
    const shown = [...rows, ...(name === 'administrationShape' ? SHAPES.find((each) => each.name === 'directOrgsShape').rows : [])];
    assert.deepEqual(fields.sort(), shown.map(({ field }) => field).sort(), name);
  }
});

// ---- Values ---------------------------------------------------------------------------------------------

const letters = (length) => 'x'.repeat(length);
const parts = (count, characters, make) => {
  const each = Math.floor(characters / count);
  return many(count, (index) => make(index, letters(index === 0 ? characters - each * (count - 1) : each)));
};
const map = (entries) => Object.fromEntries(entries);
const key = (index) => `f${index}`;
const NOT_TEXT = [7, true, { a: 'x' }, ['x']];

/** Of a kind with its bounds: what is accepted, and what is refused. */
const VALUES = {
  text: (chars) => [[null, '', letters(chars)], [letters(chars + 1), ...NOT_TEXT]],
  scalar: (chars) => [[null, letters(chars), 7, true], [letters(chars + 1), { a: 'x' }, ['x'], new Date()]],
  id: (chars) => [[null, letters(chars), '__x', 'x__'], [letters(chars + 1), '__x__', '__a\nb__', 'a/b', '/', ...NOT_TEXT]],
  flag: () => [[null, true, false], ['yes', 1, {}, []]],
  // That it doesn't turn back is tried elsewhere: what is false stays so without a change.
  yes: () => [[true], [null, 'yes', 1]],
  no: () => [[false], [true, null, 'no', 0]],
  none: () => [[null], [new Date(), 'x', 0]],
  number: () => [[null, 7, 1.5, -1], ['7', true, {}, []]],
  time: () => [[new Date(), EARLIER], ['2026-01-01', 7, null, {}]],
  timeOrNone: () => [[null, new Date(), EARLIER], ['2026-01-01', 7, {}]],
  now: () => [[serverTimestamp()], [new Date(), EARLIER, 'x']],
  list: (n, chars) => [
    [[], null, many(n, () => 'x'), parts(10, chars, (_, text) => text)],
    [many(n + 1, () => 'x'), parts(10, chars + 1, (_, text) => text), [{ a: 'x' }], 'x', { a: 'x' }],
  ],
  flat: (n, chars) => [
    [{}, null, map(many(n, (index) => [key(index), 1])), map(parts(n, chars, (index, text) => [key(index), text]))],
    [
      map(many(n + 1, (index) => [key(index), 1])), map(parts(n, chars + 1, (index, text) => [key(index), text])),
      { [letters(Math.min(chars + 1, 1400))]: 1, ...(chars >= 1400 && map(many(Math.ceil(chars / 1400), (index) => [letters(1390) + index, 1]))) },
      { a: { b: 'x' } }, { a: ['x'] }, 'x', ['x'],
    ],
  ],
  mixed: (n, chars) => [
    [
      {}, null, map(many(n, (index) => [key(index), 1])), map(parts(n, chars, (index, text) => [key(index), text])),
      { ...map(many(36, (index) => [key(index), 'x'])), at: new Date(), list: ['x', letters(chars - 1)], map: { a: letters(chars) }, text: letters(chars) },
    ],
    [
      map(many(n + 1, (index) => [key(index), 1])), map(parts(n, chars + 1, (index, text) => [key(index), text])),
      { ...map(many(40, (index) => [key(index), 'x'])), map: {} }, { at: new Date(), text: letters(chars + 1) },
      { map: { a: letters(chars + 1) } }, { list: [letters(chars + 1)] }, { map: { a: { b: 'x' } } }, 'x', ['x'],
    ],
  ],
  open: (n) => [
    [{}, null, map(many(n, (index) => [key(index), { a: [1] }]))],
    [map(many(n + 1, (index) => [key(index), 1])), map(many(n, (index) => [letters(40) + index, 1])), 'x', ['x']],
  ],
};

// What isn't said by a kind with bounds: the same, by field.
const task = (taskId) => ({ taskId, params: {} });
const FORM = { type: 'consent', fileName: 'consent.md', params: ['amount'] };
const stage = { thetaEstimate: 0.1, thetaSE: null, numAttempted: 1, numCorrect: 1, numIncorrect: 0 };
const form = () => [
  [null, 'No Consent', [], [FORM], FORM, [named(30, () => 'x')]],
  [letters(501), [FORM, FORM], [named(31, () => 'x')], [{ text: letters(2001) }], [{ other: { a: 'x' } }], ['x']],
];
const kin = (own) => [[own], [own.concat(own), ['elsewhere'], ['missing'], 'x', { a: 'x' }]];
const kinOfOne = (chars) => [[[], ['x'], [letters(chars)]], [null, ['x', 'y'], [letters(chars + 2)], [{ a: 'x' }], 'x', { a: 'x' }]];
const scores = (value) => ({ raw: { composite: { test: value } }, computed: {} });
const anyScores = () => [
  [{}, { raw: {}, computed: {} }, scores(stage), { computed: { composite: 480 } }],
  [scores({ ...stage, thetaSE: 'x' }), { other: {} }, { raw: [] }, 'x', { computed: { composite: letters(2001) } }],
];
const SPECIAL = {
  'ownUserShape.legal': () => [
    [{ tos: { v1: [{ dateSigned: new Date() }] } }, { tos: { v1: [{ dateSigned: new Date(), text: letters(242) }] } }, { [letters(128)]: { [letters(128)]: [{ dateSigned: '2026-01-01', amount: '' }] } }],
    [
      {}, 'x', { tos: {} }, { tos: { v1: [] } }, { tos: { v1: [{ dateSigned: new Date() }, { dateSigned: new Date() }] } },
      { tos: { v1: [{ dateSigned: new Date() }], v2: [{ dateSigned: new Date() }] } },
      { tos: { v1: [{ dateSigned: new Date() }] }, consent: { v1: [{ dateSigned: new Date() }] } },
      { [letters(129)]: { v1: [{ dateSigned: new Date() }] } }, { tos: { [letters(129)]: [{ dateSigned: new Date() }] } },
      { tos: { v1: [{ dateSigned: new Date(), text: letters(243) }] } }, { tos: { v1: [{ dateSigned: new Date(), text: '\u{1F600}'.repeat(61) }] } },
      { tos: { v1: [{ dateSigned: new Date(), more: ['x'] }] } }, { tos: { v1: [named(13, () => 'x')] } }, { tos: { v1: ['x'] } },
    ],
  ],
  'makerShape.adminData': () => [
    [{ administrationsCreated: ['a0', 'a1'] }, { administrationsCreated: ['a0', letters(399_998)] }],
    [{ administrationsCreated: [] }, { administrationsCreated: ['a0'], permissions: ['all'] }, { administrationsCreated: ['a0', letters(399_999)] },
      { administrationsCreated: ['a0', 'a1', 'a2'] }, { administrationsCreated: ['a1', 'a2'] }],
  ],
  'editedUserShape.studentData': () => [[{ grade: '4' }], ['x', { state_id: '1' }, { schoolLevel: 'high' }]],
  'assignmentShape.assessments': () => [
    [[{ ...ENTRY, startedOn: new Date() }], [{ ...ASSIGNMENT.assessments[0], startedOn: new Date() }]],
    [[], [{ taskId: '__x__', startedOn: new Date() }], [{ ...ENTRY, params: { a: 1 } }], 'x'],
  ],
  'assignmentShape.progress': () => [
    [{ swr: 'started' }, { swr: 'completed' }],
    [{ swr: 'done' }, { swr: { a: 'x' } }, {}, { swr: 'started', pa: 'started' }, { pa: 'started' }, 'x'],
  ],
  'workShape.runId': () => [[null, 'r1', 'r2'], ['r3', letters(1), 7, ['r1']]],
  'workShape.allRunIds': () => [[null, [], ['r1'], ['r2']], [['r3'], ['r1', 'r3'], ['r1', 'r1', 'r1'], 'r1', { r1: 'r1' }]],
  'administrationShape.assessments': () => [
    [[], [task('a')], many(64, (index) => task(`roar-${index}`)), [task(letters(128))], [task('__a'), task('a__')]],
    [many(65, (index) => task(`roar-${index}`)), [task(letters(129))], [task('__a__')], [task('a/b')], [task('__a/b__')], [task('a'), task('__a\nb__')], [task('a'), task('__a__'), task('b')], [task('')], [{ params: {} }], ['x'], 'x',
      [...many(31, () => task('a')), task('__a__')]],
  ],
  'administrationShape.minimalOrgs': () => [
    [lists({}), { schools: many(2000, () => 's1') }],
    [{ schools: many(2001, () => 's1') }, { others: [] }, { schools: 'x' }, 'x'],
  ],
  'administrationShape.createdBy': () => [['super-admin'], [letters(128), 'student']],
  'administrationShape.legal': () => [[null, {}, { consent: [FORM] }], ['x', { other: 'x' }]],
  'formsShape.consent': form,
  'formsShape.assent': form,
  'orgShape.address': () => [[null, '', letters(500), org.address, named(20, () => 'x')], [letters(501), named(21, () => 'x'), 7]],
  'orgShape.schools': () => kin(['linked']),
  'orgShape.classes': () => kin(['linked']),
  'orgShape.subGroups': () => kin(['linked']),
  'begunRunShape.assigningOrgs': () => [[null, lists({}), { districts: ['d1'] }], [{ others: [] }, { districts: many(501, () => 'd1') }, { districts: ['d9'] }, 'x']],
  'begunRunShape.readOrgs': () => [[null, lists({}), { districts: ['d1'] }], [{ others: [] }, { districts: many(501, () => 'd1') }, { districts: ['d9'] }, 'x']],
  'begunRunShape.id': () => [['x'], ['y', letters(129)]],
  'begunRunShape.scores': anyScores,
  'lateRunShape.scores': () => [
    [{ raw: {}, computed: {} }, scores(stage), { raw: {}, computed: { composite: 480 } }],
    anyScores()[1],
  ],
  'lateRunShape.interactions': () => [
    [{}, { test_response: { blur: 1, focus: 2 } }, { test_response: named(10, () => 1) }],
    [{ test_response: named(11, () => 1) }, { test_response: { a: { b: 1 } } }, { a: { b: 1 }, c: { d: 2 } }, named(51, () => ({ blur: 1 })), 'x'],
  ],
  'scoresShape.raw': () => [
    [{}, { composite: { practice: stage, test: stage }, FSM: { test: stage } }],
    [{ composite: { other: stage } }, { composite: { test: named(11, () => 1) } }, { composite: { test: { ...stage, thetaSE: 'x' } } },
      { composite: { test: { ...stage, numAttempted: 'x' } } }, { composite: { test: { a: { b: 1 } } } },
      { a: { test: { x: 1 } }, b: { test: { x: 2 } }, c: { test: { x: 3 } } }, named(65, () => ({ test: stage })), 'x'],
  ],
  'scoresShape.computed': () => [
    [{}, { composite: 480 }, { composite: { roarScore: 480 } }, { composite: { sub: { a: 1 } } }, named(64, () => 1)],
    [{ composite: letters(2001) }, { composite: { a: letters(2001) } }, { composite: { sub: { a: { b: 1 } } } }, named(65, () => 1), 'x'],
  ],
  'workerShape.tasks': () => kinOfOne(39_999),
  'workerShape.variants': () => kinOfOne(199_999),
  'guestShape.userType': () => [['guest'], ['student', letters(21)]],
};

// ---- Documents ------------------------------------------------------------------------------------------

const STUDENT = 'users/student';
const FALL = `${STUDENT}/assignments/fall`;
// The service has noted two runs, the better of which came first.
const ENTRY = { ...ASSIGNMENT.assessments[0], runId: 'r1', allRunIds: ['r2', 'r1'] };
const FULL = { ...administration(1, lists({})), createdBy: 'super-admin' };
let made = 0; // documents of their own, where a write is made once

/** How a value gets into a field: who writes it, and how. */
const update = (who, path, fields) => (db) => updateDoc(doc(db[who], path), fields);
const SCENES = {
  ownUserShape: (field, value) => update('student', STUDENT, { [field]: value }),
  makerShape: (field, value) => update('admin', 'users/admin', { [field]: field === 'adminData' ? { permissions: [], ...value } : value }),
  editedUserShape: (field, value) => update('admin', STUDENT, { [field]: value }),
  studentShape: (field, value) => update('admin', STUDENT, { [`studentData.${field}`]: value }),
  assignmentShape: (field, value) => update('student', FALL, { [field]: value }),
  workShape: (field, value) => update('student', FALL, { assessments: [{ ...ENTRY, [field]: value }] }),
  administrationShape: (field, value) => (db) =>
    setDoc(doc(db.superAdmin, `administrations/made-${made++}`), { ...FULL, [field]: value }),
  directOrgsShape: (field, value) => update('superAdmin', 'administrations/fall', { [field]: value }),
  formsShape: (field, value) => update('superAdmin', 'administrations/fall', { legal: { [field]: value } }),
  orgShape: (field, value) => update('superAdmin', { schools: 'districts/d1', classes: 'schools/s1' }[field] ?? 'classes/c1', { [field]: value }),
  workerShape: (field, value) => update('student', STUDENT, { [field]: value }),
  editedCopyShape: (field, value) => update('admin', STUDENT, { [field]: value }),
  guestShape: (field, value) => update('student', 'guests/uid-student', { [field]: value }),
  begunRunShape: (field, value) => (db) => {
    const id = field === 'id' ? 'x' : `made-${made++}`;
    return setDoc(doc(db.student, `${STUDENT}/runs/${id}`), { ...begun(id), [field]: value });
  },
  runShape: (field, value) => update('student', `${STUDENT}/runs/r1`, {
    ...(field === 'completed' && { timeFinished: serverTimestamp() }), [field]: value,
  }),
  lateRunShape: (field, value) => update('student', `${STUDENT}/runs/r1`, { [field]: value }),
  scoresShape: (field, value) => update('student', `${STUDENT}/runs/r1`, { [`scores.${field}`]: value }),
  trialShape: (field, value) => (db) =>
    setDoc(doc(db.student, `${STUDENT}/runs/r1/trials/made-${made++}`), { ...TRIAL, serverTimestamp: serverTimestamp(), [field]: value }),
  interactionsShape: (field, value) => update('student', `${STUDENT}/runs/r1/trials/t1`, { [field]: value }),
  taskShape: (field, value) => update('platformAdmin', 'tasks/swr', { [field]: value }),
  variantShape: (field, value) => update('platformAdmin', 'tasks/swr/variants/v1', { [field]: value }),
  newVariantShape: (field, value) => (db) =>
    setDoc(doc(db.student, `tasks/swr/variants/made-${made++}`), { params: {}, lastUpdated: serverTimestamp(), [field]: value }),
  renewedShape: (field, value) => update('student', 'tasks/swr', { [field]: value }),
};

/** The documents as before each row. */
const DATA = {
  admin: {
    'users/admin': { userType: 'admin', archived: false, adminData: { administrationsCreated: ['a0'], permissions: [] } },
    [STUDENT]: DOCUMENTS.admin[STUDENT],
    [FALL]: { ...ASSIGNMENT, assessments: [ENTRY] },
    'administrations/fall': DOCUMENTS.admin['administrations/fall'],
    'districts/d1': { name: 'x' },
    'schools/s1': { name: 'x' },
    'classes/c1': { name: 'x' },
    'schools/linked': { districtId: 'd1' },
    'classes/linked': { schoolId: 's1' },
    'groups/linked': { parentOrgType: 'class', parentOrgId: 'c1' },
    ...Object.fromEntries(['schools', 'classes', 'groups'].map((type) => [`${type}/elsewhere`, { name: 'x' }])),
  },
  assessment: {
    [STUDENT]: DOCUMENTS.assessment[STUDENT],
    [`${STUDENT}/runs/r1`]: { ...RUN, timeFinished: null },
    [`${STUDENT}/runs/r1/trials/t1`]: { ...TRIAL, serverTimestamp: new Date() },
    'guests/uid-student': { userType: 'guest' },
    'tasks/swr': { name: 'swr' },
    'tasks/swr/variants/v1': { name: 'v1', params: {} },
  },
};

const rules = {};

before(async () => {
  for (const name of ['admin', 'assessment']) {
    rules[name] = await openRules(name, { projectId: `demo-rules-shapes-${name}` });
    await rules[name].seed(DOCUMENTS[name]);
  }
});

after(async () => {
  for (const each of Object.values(rules)) await each.close();
});

for (const { name, database, documents, when, rows } of SHAPES) {
  describe(`${name}: ${documents}, ${when}`, () => {
    for (const { field, kind, bounds } of rows) {
      test(field, async () => {
        const values = SPECIAL[`${name}.${field}`] ?? VALUES[kind];
        assert.ok(values && SCENES[name], `nothing tries ${kind} of ${name}.${field}`);
        const [accepted, refused] = values(...bounds);
        const show = (value) => `${JSON.stringify(value)?.slice(0, 80)}`;
        const wrong = await mismatches(refused.map((value) => (
          { what: show(value), allowed: false, attempt: () => SCENES[name](field, value)(rules[database].db) }
        )));
        for (const value of accepted) {
          await rules[database].seed(DATA[database]);
          wrong.push(...await mismatches([
            { what: show(value), allowed: true, attempt: () => SCENES[name](field, value)(rules[database].db) },
          ]));
        }
        await rules[database].seed(DATA[database]);
        assert.deepEqual(wrong, []);
      });
    }
  });
}

