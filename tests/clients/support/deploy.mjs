// Runs the scripts of deploy/ with stand-ins for Google, which come before the real programs.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';

import { repository } from './projects.mjs';

export const TOKEN = 'ya29.not-for-anybody';
export const PROJECTS = { ADMIN_PROJECT: 'admin-x', ASSESSMENT_PROJECT: 'assessment-x' };
const run = promisify(execFile);

/** Where the stand-ins are, and what they leave. */
export const directory = await mkdtemp(join(tmpdir(), 'roar-deploy-'));
after(() => rm(directory, { recursive: true }));

/** What a script did: its exit code and what it wrote. */
export async function script(name, args, env) {
  const settings = { PATH: `${directory}:${process.env.PATH}`, HOME: directory, ...PROJECTS, ...env };
  try {
    return { code: 0, ...(await run(join(repository, 'deploy', name), args, { env: settings })) };
  } catch (error) {
    assert.equal(typeof error.code, 'number', String(error));
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

/** A program of that name comes before the real one. */
export async function standIn(name, lines) {
  await writeFile(join(directory, name), `#!/usr/bin/env bash\n${lines}\n`);
  await chmod(join(directory, name), 0o755);
}

/** A program that writes down its arguments, a line a call, and then does what `lines` say; and what it wrote down. */
export async function recorder(name, lines = '') {
  const log = join(directory, `${name}.log`);
  await writeFile(log, '');
  await standIn(name, `printf '%s\\n' "$*" >>'${log}'\n${lines}`);
  return async () => (await readFile(log, 'utf8')).split('\n').filter(Boolean);
}
