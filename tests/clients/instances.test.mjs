// Two servers that share nothing but Firestore and Cloud Tasks do one fan-out; one of them is killed on the way.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { checksOn } from './support/checks.mjs';
import { eventually } from './support/processes.mjs';
import { openSdks } from './support/sdk.mjs';
import { emailOf, orgLists, seed } from './support/seed.mjs';
import { startSuite } from './support/suite.mjs';

const DAY = 86_400_000;
const CLASSES = 60;
const EACH = 8;

let suite;
let sdks;
let checks;
let superAdmin;

before(async () => {
  suite = await startSuite({ instances: 2 });
  sdks = openSdks(suite);
  checks = checksOn(sdks.db);
  await seed(sdks, []);
  superAdmin = await sdks.signIn(emailOf('super'));
  // A school of several chunks.
  const writer = sdks.db.bulkWriter();
  const current = (ids) => ({ current: ids, all: ids, dates: {} });
  writer.set(sdks.db.doc('schools/large'), { name: 'Large', archived: false, districtId: 'district-2' });
  for (let c = 0; c < CLASSES; c += 1) {
    writer.set(sdks.db.doc(`classes/large-${c}`), { name: `Room ${c}`, archived: false, schoolId: 'large', districtId: 'district-2' });
    for (let n = 0; n < EACH; n += 1) {
      writer.set(sdks.db.doc(`users/large-${c}-${n}`), {
        userType: 'student',
        archived: false,
        studentData: { grade: '3', schoolLevel: 'elementary' },
        districts: current(['district-2']),
        schools: current(['large']),
        classes: current([`large-${c}`]),
        groups: current([]),
        families: current([]),
      });
    }
  }
  await writer.close();
});

after(async () => {
  await sdks?.close();
  await suite?.stop();
});

const create = async (name) => {
  const at = (days) => new Date(Date.now() + days * DAY).toISOString();
  const { administrationId } = await superAdmin.call('createAdministration', {
    name,
    assessments: [{ taskId: 'swr', params: {}, variantId: 'v', variantName: 'v' }],
    dateOpen: at(-1),
    dateClose: at(30),
    orgs: orgLists({ schools: ['large'] }),
  });
  return administrationId;
};

const number = async (id) => Object.keys(await checks.assignmentsOf(id)).length;

const isWhole = (id) => async () => {
  assert.equal(await number(id), CLASSES * EACH);
  await checks.isSynced(id);
};

/** Whose runs of chunks the metrics of a server tell. */
async function chunksOf(port) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = /function_tasks_total\{[^}]*syncAdministrationChunk[^}]*\} (\d+)/g;
  return [...text.matchAll(line)].reduce((sum, [, count]) => sum + Number(count), 0);
}

test('both do chunks of one fan-out, and the counts are right', async () => {
  const id = await create('Together');
  await checks.settled(id, 'everybody has an assignment, once', isWhole(id));
  const done = await Promise.all(suite.instances.ports.map(chunksOf));
  assert.ok(done.every((count) => count > 0), `chunks by server: ${done}`);
});

test('one dies on the way, and the end is right', async () => {
  const id = await create('Alone');
  await eventually('it has begun', async () => assert.ok((await number(id)) > 0), { pause: 20 });
  suite.instances.kill(1);
  assert.ok((await number(id)) < CLASSES * EACH, 'it was on the way');
  await checks.settled(id, 'everybody has an assignment, once', isWhole(id));
});
