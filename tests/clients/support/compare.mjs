// Comparing documents, and counting assignments anew. What a count should be is worked out here from
// the documents alone, so that the server's arithmetic is checked and not repeated.

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

/** Plain data, to be compared: instants as ISO strings, `undefined` left out. */
export function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value?.toDate === 'function') return value.toDate().toISOString();
  if (value instanceof Date) return value.toISOString();
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, each]) => each !== undefined)
        .map(([key, each]) => [key, plain(each)]),
    );
  }
  return value;
}

/** Org lists are sets: sorted, to be compared. */
export const asSets = (orgs) =>
  Object.fromEntries(Object.entries(orgs ?? {}).map(([type, ids]) => [type, [...ids].sort()]));

/** Fails with the document's path, and each field that differs. */
export function sameDocument(path, actual, expected) {
  const differences = differencesOf(plain(actual), plain(expected));
  assert.ok(differences.length === 0, `${path} differs:\n  ${differences.join('\n  ')}`);
}

function differencesOf(actual, expected, path = '') {
  const isNode = (value) => value !== null && typeof value === 'object';
  if (isNode(actual) && isNode(expected) && Array.isArray(actual) === Array.isArray(expected)) {
    const keys = [...new Set([...Object.keys(actual), ...Object.keys(expected)])];
    return keys.flatMap((key) => differencesOf(actual[key], expected[key], path === '' ? key : `${path}.${key}`));
  }
  if (isDeepStrictEqual(actual, expected)) return [];
  const show = (value) => (value === undefined ? 'nothing' : JSON.stringify(value));
  return [`${path === '' ? 'the value' : path} is ${show(actual)}, and should be ${show(expected)}`];
}

/** The counts that the assignments amount to: `{orgId or 'total': {assignment or taskId: {assigned, started, completed}}}`. */
export function recount(assignments) {
  const counts = {};
  const add = (key, what, counter) => {
    counts[key] ??= {};
    counts[key][what] ??= {};
    counts[key][what][counter] = (counts[key][what][counter] ?? 0) + 1;
  };
  for (const assignment of assignments) {
    const orgs = new Set(Object.values(assignment.assigningOrgs).flat());
    for (const key of [...orgs, 'total']) {
      add(key, 'assignment', 'assigned');
      if (assignment.started || assignment.completed) add(key, 'assignment', 'started');
      if (assignment.completed) add(key, 'assignment', 'completed');
      for (const task of assignment.assessments) {
        add(key, task.taskId, 'assigned');
        // A task hosted elsewhere is completed without a start.
        if (task.startedOn || task.completedOn) add(key, task.taskId, 'started');
        if (task.completedOn) add(key, task.taskId, 'completed');
      }
    }
  }
  return counts;
}

/** Stored counts in the form of `recount`: absent and 0 are the same, and so are an empty document and none. */
export function counters(stats) {
  const counts = {};
  for (const [org, blocks] of Object.entries(stats)) {
    for (const [what, block] of Object.entries(blocks)) {
      if (block === null || typeof block !== 'object' || typeof block.toDate === 'function') continue; // updatedAt
      for (const [counter, count] of Object.entries(block)) {
        if (count === 0) continue;
        counts[org] ??= {};
        counts[org][what] ??= {};
        counts[org][what][counter] = count;
      }
    }
  }
  return counts;
}
