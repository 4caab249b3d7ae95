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
