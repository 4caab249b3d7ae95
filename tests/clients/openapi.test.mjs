// The OpenAPI document, as others' tools read it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { repository } from './support/projects.mjs';

const run = promisify(execFile);
const here = join(repository, 'tests/clients');
const environment = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

async function lint(document) {
  const directory = await mkdtemp(join(tmpdir(), 'roar-openapi-'));
  try {
    const file = join(directory, 'openapi.json');
    await writeFile(file, JSON.stringify(document));
    const command = [join(here, 'node_modules/@redocly/cli/bin/cli.js'), 'lint', '--format=json', `--config=${join(here, 'redocly.yaml')}`, file];
    const { stdout } = await run(process.execPath, command, { env: environment }).catch((failed) => failed);
    const { totals, problems } = JSON.parse(stdout);
    return { totals, problems: problems.map(({ ruleId, message }) => `${ruleId}: ${message}`) };
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('the document is what OpenAPI and its linter want', async () => {
  const { stdout } = await run(process.env.ROAR_BIN, ['openapi'], { maxBuffer: 1 << 24 });
  const document = JSON.parse(stdout);
  assert.deepEqual(await lint(document), { totals: { errors: 0, warnings: 0, ignored: 0 }, problems: [] });
  // The linter does look.
  document.paths['/createAdministration'].post.responses['200'].content = 'none';
  assert.ok((await lint(document)).totals.errors > 0);
});
