// The largest documents that pages and games write, or larger: rules may evaluate a thousand expressions a request.

import { increment, serverTimestamp } from 'firebase/firestore';

import { ASSIGNMENT, lists, RUN } from './rules-documents.mjs';

export const many = (count, make) => Array.from({ length: count }, (_, index) => make(index));
export const named = (count, make, name = (index) => `field-${index}`) =>
  Object.fromEntries(many(count, (index) => [name(index), make(index)]));

const PARAMS = {
  userMode: 'shortAdaptive', scoringVersion: 7, recruitment: 'pilot', story: null, skipInstructions: true, numAdaptive: 85,
  language: 'en', consent: false, addNoResponse: null, labId: 'yeatmanlab', audioFeedback: 'neutral', corpus: 'math-item-bank-v2',
  sequentialPractice: true, sequentialStimulus: false, keyHelpers: true, maxTime: 1200, buttonLayout: 'default', numOfPracticeTrials: 2,
};
const condition = (id) => ({ id, field: 'studentData.grade', op: 'GREATER_THAN_OR_EQUAL', value: '3' });

/** The tasks of an administration, as its form sends them. */
export const tasks = (count) => many(count, (index) => ({
  taskId: `roar-task-number-${index}`, variantId: `variant-${index}-abcdefghijkl`, variantName: `Variant ${index}, short and adaptive`,
  params: PARAMS,
  conditions: { assigned: { op: 'AND', conditions: [condition(0), condition(1)] }, optional: true },
}));

/** An assignment of as many tasks, of which a student has done the first half. */
export const assignment = (count) => ({
  ...ASSIGNMENT,
  assessments: tasks(count).map(({ conditions: _, ...task }, index) => ({
    ...task, optional: false, ...(index < count / 2 && { startedOn: new Date(), completedOn: new Date(), runId: `run-${index}`, allRunIds: [`run-${index}`] }),
  })),
  progress: named(count, () => 'assigned', (index) => `roar_task_number_${index}`),
});

export const SUBTASKS = many(12, (index) => `subtask-${index}`);
const stage = (index) => ({ thetaEstimate: 0.25 * index, thetaSE: 0.125, numAttempted: 20 + index, numCorrect: 15, numIncorrect: 5 + index });
const normed = (index) => ({
  roarScore: 480 + index, standardScore: 100, percentile: 50, rawScore: 23, scoringVersion: 7, numCorrect: 15, numAttempted: 20,
  categoryScore: 'Developing Skill', supportLevel: 'some', gradeEstimate: 3.2, incorrect: 'a,b,c,d', sprPercentile: 48.5,
});

/** A run of twelve subtasks, and the client library's write after one more trial. */
export const scored = {
  raw: { composite: { practice: stage(1), test: stage(2) }, ...Object.fromEntries(SUBTASKS.map((name, index) => [name, { practice: stage(index), test: stage(index) }])) },
  computed: { composite: normed(0), ...Object.fromEntries(SUBTASKS.map((name, index) => [name, normed(index)])) },
};
const dotted = (path, value) =>
  value !== null && typeof value === 'object'
    ? Object.entries(value).flatMap(([key, inner]) => dotted(`${path}.${key}`, inner))
    : [[path, value]];
export const afterTrial = (subtask, computed = scored.computed) => ({
  ...Object.fromEntries([subtask, 'composite'].flatMap((name) => [
    [`scores.raw.${name}.test.thetaEstimate`, 0.7],
    [`scores.raw.${name}.test.thetaSE`, null],
    [`scores.raw.${name}.test.numAttempted`, increment(1)],
    [`scores.raw.${name}.test.numCorrect`, increment(1)],
  ])),
  ...Object.fromEntries(dotted('scores.computed', computed)),
});

/** A run as it begins. */
export const begun = (id, orgs = RUN.assigningOrgs) => {
  const { scores: _, ...run } = RUN;
  return {
    ...run, id, taskVersion: '1.2.3', timeStarted: serverTimestamp(), timeFinished: null, assigningOrgs: orgs, readOrgs: orgs,
    userData: { grade: '3', assessmentPid: 'p1', assessmentUid: 'uid-student', birthMonth: 1, birthYear: 2016, schoolLevel: 'elementary' },
  };
};

/** A trial as jsPsych gives it: forty fields, some of them maps. */
export const trial = {
  assessment_stage: 'test_response', subtask: SUBTASKS[0], correct: 1, taskId: 'swr', thetas: { composite: 0.3, FSM: 0.1 }, thetaSEs: { composite: 0.3 },
  response: { Q0: 'yes', nested: { 0: 'a' } }, distractors: { 0: 'cat', 1: 'dog' }, stimulus: `<div>${'x'.repeat(3000)}</div>`, rt: 1234.5,
  ...named(30, (index) => `value ${index}`), startedAt: new Date(), serverTimestamp: serverTimestamp(),
};

export const orgs = (count) => lists({ districts: ['d1'], schools: many(count, (index) => `school-${index}-abcdefghijkl`) });

const FORM = {
  type: 'consent-behavioral-eye-tracking', fileName: 'consent.md', gitHubOrg: 'yeatmanlab', gitHubRepository: 'roar-legal-docs',
  currentCommit: 'abc1234', lastUpdated: '2026-01-01T00:00:00Z', params: { amount: true, expectedTime: true },
};

/** An administration, as the form sends it. */
export const administration = (count, minimalOrgs) => ({
  name: 'Fall 2026', publicName: 'Fall reading games', createdBy: 'admin', dateCreated: new Date(), dateOpened: new Date(), dateClosed: new Date(),
  assessments: tasks(count), sequential: true, tags: ['fall', 'pilot'], testData: false, formatVersion: 2, minimalOrgs,
  legal: { consent: [FORM], assent: [{ ...FORM, type: 'assent' }], amount: '$10', expectedTime: '30 minutes' },
});

/** An org, as the forms send it. */
export const org = {
  name: 'Oak Elementary', abbreviation: 'oak', archived: false, ncesId: '060000000001', tags: ['pilot'], testData: false, demoData: false,
  address: {
    addressComponents: [{ long_name: '1', short_name: '1', types: ['street_number'] }, { long_name: 'Main St', short_name: 'Main', types: ['route'] }],
    formattedAddress: '1 Main St', googlePlacesId: 'x'.repeat(30), googleMapsUrl: 'https://maps.example.org/?cid=1',
  },
};

/** A user's data, as the form that edits it sends them. */
export const edited = {
  name: { first: 'A', middle: null, last: 'B' },
  studentData: {
    dob: new Date('2016-02-29'), grade: '5', gender: 'x', race: ['asian', 'white'], hispanic_ethnicity: false, ell_status: true,
    frl_status: 'Free', iep_status: false,
  },
  testData: false, demoData: false, userType: 'student', dataInitialized: true,
};
