// What the dashboard's client library writes when a student works on an assignment.

import { doc, runTransaction } from 'firebase/firestore';

function change(client, path, taskId, decide) {
  return runTransaction(client.db, async (transaction) => {
    const reference = doc(client.db, path);
    const assignment = (await transaction.get(reference)).data();
    const assessments = assignment.assessments;
    const task = assessments.find((each) => each.taskId === taskId);
    if (!task) throw new Error(`${path} has no task ${taskId}`);
    decide(transaction, reference, assignment, task);
  });
}

/** The task begins, and with the first one the assignment: two writes of one commit, as the library makes them. */
export function startTask(client, path, taskId) {
  return change(client, path, taskId, (transaction, reference, assignment, task) => {
    task.startedOn = new Date();
    transaction.update(reference, { assessments: assignment.assessments });
    if (!assignment.started) transaction.update(reference, { started: true });
  });
}

/** The task ends, and with the last required one the assignment. */
export function completeTask(client, path, taskId) {
  return change(client, path, taskId, (transaction, reference, assignment, task) => {
    task.completedOn = new Date();
    transaction.update(reference, { assessments: assignment.assessments });
    if (assignment.assessments.every((each) => each.optional || each.completedOn)) {
      transaction.update(reference, { completed: true });
    }
  });
}

/** A finished run of an assignment's task, as the library leaves it in the assessment database: with the user as of its start. */
export function finishedRun(id, assignment, taskId, user, timeStarted) {
  const { grade, schoolLevel, dob } = user.studentData;
  const born = dob.toDate();
  const [birthMonth, birthYear] = [born.getUTCMonth() + 1, born.getUTCFullYear()];
  const months = (timeStarted.getUTCFullYear() - birthYear) * 12 + timeStarted.getUTCMonth() + 1 - birthMonth;
  const ageMonths = timeStarted.getUTCDate() < born.getUTCDate() ? months - 1 : months;
  const { assigningOrgs, readOrgs, assessments } = assignment;
  return {
    id,
    assignmentId: assignment.id,
    assigningOrgs,
    readOrgs,
    taskId,
    taskVersion: '1.2.3',
    variantId: assessments.find((each) => each.taskId === taskId).variantId,
    completed: true,
    reliable: true,
    timeStarted,
    timeFinished: new Date(timeStarted.getTime() + 600_000),
    userData: {
      grade, schoolLevel, birthMonth, birthYear, ageMonths, ageYears: Math.floor(ageMonths / 12),
      assessmentPid: user.assessmentPid ?? null, assessmentUid: user.assessmentUid,
    },
    scores: {
      raw: { composite: { test: { thetaEstimate: 0.1, thetaSE: 0.1, numAttempted: 2, numCorrect: 1, numIncorrect: 1 } } },
      computed: { composite: 480 },
    },
  };
}
