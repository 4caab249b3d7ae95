// Rules may evaluate a thousand expressions a request, and refuse it then. The largest documents that pages and games
// write are accepted, and with some expressions to spare. Where somebody else than the person writes, it's dearer: an
// administrator of two hundred orgs, say.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { arrayUnion, doc, serverTimestamp, setDoc, updateDoc, writeBatch } from 'firebase/firestore';

import { claimsOf, DOCUMENTS, lists, RUN } from './support/rules-documents.mjs';
import {
  administration, afterTrial, assignment, begun, edited, many, named, org, orgs, scored, trial,
} from './support/rules-large.mjs';
import { openRules, padded, rulesText } from './support/rules.mjs';

const STUDENT = 'users/student';
const FALL = `${STUDENT}/assignments/fall`;
const R1 = `${STUDENT}/runs/r1`;
const OF_MANY = { 'userClaims/uid-admin': claimsOf('admin', { role: 'admin', adminOrgs: orgs(200) }) };
const THIRTY = assignment(30);
const SIXTY_FOUR = assignment(64);
const started = ({ assessments }) => [...assessments.slice(0, -1), { ...assessments.at(-1), startedOn: new Date() }];
const SCORED = { [R1]: { ...RUN, scores: scored } };
const SIGNATURES = named(12, () => named(12, () => [{ dateSigned: new Date(0), amount: '' }]));
const above = lists({ districts: ['d1'], schools: ['s1'], classes: ['c1'] });
const nested = { composite: { ...scored.computed.composite, ...named(6, (index) => index), sub: { a: 1, b: 'x' }, other: { c: 1 } } };

// The shape that the write is held to, what is there before, and the write; expressions to spare.
const WRITES = {
  admin: {
    'a task of thirty begins': ['assignmentShape', { [FALL]: THIRTY }, ['student', 'parent', 'admin'], (db) =>
      updateDoc(doc(db, FALL), { assessments: started(THIRTY), started: true }), 200],
    'a task of sixty-four begins': ['assignmentShape', { [FALL]: SIXTY_FOUR }, ['student', 'parent', 'admin'], (db) =>
      updateDoc(doc(db, FALL), { assessments: started(SIXTY_FOUR), started: true }), 150],
    'an administration of thirty tasks is made for two hundred orgs': ['administrationShape', OF_MANY, ['admin', 'superAdmin'], (db, who) => {
      const batch = writeBatch(db);
      batch.set(doc(db, 'administrations/large'), { ...administration(30, orgs(200)), createdBy: { admin: 'admin', superAdmin: 'super-admin' }[who] }, { merge: true });
      batch.update(doc(db, 'users/admin'), { 'adminData.administrationsCreated': arrayUnion('large') });
      return who === 'admin' ? batch.commit() : setDoc(doc(db, 'administrations/large'), { ...administration(30, orgs(200)), createdBy: 'super-admin' });
    }, 30],
    'and changed': ['administrationShape', { ...OF_MANY, 'administrations/large': administration(30, orgs(199)) }, ['admin'], (db) =>
      setDoc(doc(db, 'administrations/large'), { ...administration(30, orgs(200)), name: 'Other' }, { merge: true }), 100],
    'a class is made': ['orgShape', { 'schools/s1': { name: 'x', classes: many(300, (index) => `class-${index}`) } }, ['admin'], (db) => {
      const batch = writeBatch(db);
      batch.set(doc(db, 'classes/new'), { ...org, schoolId: 's1', districtId: 'd1', grade: 3 });
      batch.update(doc(db, 'schools/s1'), { classes: arrayUnion('new') });
      return batch.commit();
    }, 200],
    'a user is edited': ['editedUserShape', {}, ['parent', 'admin', 'superAdmin'], (db) => setDoc(doc(db, STUDENT), edited, { merge: true }), 200],
    'somebody signs who has signed a hundred and forty-four forms': ['ownUserShape', { [STUDENT]: { ...DOCUMENTS.admin[STUDENT], legal: SIGNATURES } }, ['student'], (db) =>
      updateDoc(doc(db, STUDENT), { 'legal.field-11.field-11': arrayUnion({ dateSigned: new Date(), amount: '', expectedTime: '' }) }), 150],
  },
  assessment: {
    'a run begins': ['begunRunShape', {}, ['student', 'parent', 'admin'], (db, who) =>
      setDoc(doc(db, `${STUDENT}/runs/by-${who}`), begun(`by-${who}`)), 150],
    'a run begins with fields of a game': ['begunRunShape', {}, ['student', 'parent', 'admin'], (db, who) =>
      setDoc(doc(db, `${STUDENT}/runs/by-${who}`), { ...begun(`by-${who}`), labId: 'x', testData: true, demoData: true, assigningOrgs: lists({ classes: ['c1'] }) }), 60],
    'a run begins of a student with an old copy': ['begunRunShape', {}, ['admin'], (db) =>
      setDoc(doc(db, 'users/class-only/runs/x'), { ...begun('x'), assigningOrgs: lists({ classes: ['c1'] }), readOrgs: above }), 60],
    'scores of twelve subtasks': ['runShape', SCORED, ['student', 'parent', 'admin'], (db) => updateDoc(doc(db, R1), afterTrial('subtask-3')), 200],
    'scores with maps in them': ['runShape', SCORED, ['student', 'parent', 'admin'], (db) => updateDoc(doc(db, R1), afterTrial('subtask-3', nested)), 90],
    'scores after the end': ['lateRunShape', { [R1]: { ...RUN, completed: true, timeFinished: new Date(), scores: scored } }, ['student', 'admin'], (db) =>
      updateDoc(doc(db, R1), afterTrial('subtask-3')), 200],
    'a run ends': ['runShape', SCORED, ['student', 'admin'], (db) =>
      updateDoc(doc(db, R1), { completed: true, timeFinished: serverTimestamp(), reasonTaskEnded: 'Max Time' }), 300],
    'a trial of forty fields': ['trialShape', {}, ['student', 'parent', 'admin'], (db, who) =>
      setDoc(doc(db, `${R1}/trials/by-${who}`), trial), 300],
  },
};

for (const [name, writes] of Object.entries(WRITES)) {
  describe(`${name} database`, () => {
    for (const [what, [shape, before, people, attempt, spare]] of Object.entries(writes)) {
      test(what, async () => {
        const rules = await openRules(name, { projectId: `demo-rules-budget-${name}`, rules: padded(rulesText(name), shape, spare) });
        try {
          for (const who of people) {
            await rules.seed({ ...DOCUMENTS[name], ...before });
            await attempt(rules.db[who], who);
          }
        } catch (error) {
          assert.fail(error.message);
        } finally {
          await rules.close();
        }
      });
    }
  });
}
