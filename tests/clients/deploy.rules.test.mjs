// deploy/rules, with a server that has the shape of Google's APIs for rules and indexes.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { directory, script, standIn, TOKEN } from './support/deploy.mjs';
import { repository } from './support/projects.mjs';

/** Indexes as Google has them, of a file as the Firebase CLI has it. */
function asGoogleHas(project, { indexes, fieldOverrides }) {
  const groups = `projects/${project}/databases/(default)/collectionGroups`;
  return {
    indexes: indexes.map(({ collectionGroup, queryScope, fields }, n) => ({
      name: `${groups}/${collectionGroup}/indexes/CICA${n}`,
      queryScope,
      fields: [...fields, { fieldPath: '__name__', order: 'ASCENDING' }],
      state: 'READY',
    })),
    fields: [
      { name: `${groups}/__default__/fields/*`, indexConfig: { indexes: [{ queryScope: 'COLLECTION', fields: [{ fieldPath: '*', order: 'ASCENDING' }] }] } },
      ...fieldOverrides.map(({ collectionGroup, fieldPath, indexes: of, ttl }) => ({
        name: `${groups}/${collectionGroup}/fields/${fieldPath}`,
        indexConfig: {
          // The last first: order says nothing.
          indexes: [...of].reverse().map(({ queryScope, ...field }) => ({ queryScope, fields: [{ fieldPath, ...field }], state: 'READY' })),
        },
        ...(ttl && { ttlConfig: { state: 'ACTIVE' } }),
      })),
    ],
  };
}

/** Google's APIs for rules and indexes, with the rules and indexes of the repository in both projects. */
async function google() {
  const json = async (name) => JSON.parse(await readFile(join(repository, name), 'utf8'));
  const text = (name) => readFile(join(repository, name), 'utf8');
  const projects = {
    'admin-x': { release: 'projects/admin-x/rulesets/r1', ...asGoogleHas('admin-x', await json('firestore.indexes.json')) },
    'assessment-x': { release: 'projects/assessment-x/rulesets/r2', ...asGoogleHas('assessment-x', await json('firestore.assessment.indexes.json')) },
  };
  const rulesets = new Map([
    ['projects/admin-x/rulesets/r1', await text('firestore.rules')],
    ['projects/assessment-x/rulesets/r2', await text('firestore.assessment.rules')],
  ]);
  const writes = [];
  const refuse = (code, status, message) => ({ code, body: { error: { code, status, message } } });

  function answer(method, url, { headers }, body) {
    const [, project, rest] = /^\/v1\/projects\/([^/]+)\/(.*)$/.exec(url.pathname) ?? [];
    if (headers.authorization !== `Bearer ${TOKEN}`) return refuse(401, 'UNAUTHENTICATED', 'Who are you?');
    if (headers['x-goog-user-project'] !== project) return refuse(403, 'PERMISSION_DENIED', 'Whose quota?');
    const there = projects[project];
    const releaseName = `projects/${project}/releases/cloud.firestore`;
    if (method !== 'GET') writes.push(`${method} ${project} ${rest}`);
    switch (`${method} ${rest.replace(/^rulesets\/.*/, 'rulesets/ID')}`) {
      case 'GET releases/cloud.firestore':
        return there.release ? { body: { name: releaseName, rulesetName: there.release } } : refuse(404, 'NOT_FOUND', 'No release.');
      case 'GET rulesets/ID': {
        const name = `projects/${project}/${rest}`;
        return { body: { name, source: { files: [{ name: 'firestore.rules', content: rulesets.get(name) }] } } };
      }
      case 'POST rulesets': {
        const [{ content }] = body.source.files;
        if (!content.startsWith('rules_version')) return refuse(400, 'INVALID_ARGUMENT', 'Not rules.');
        const name = `projects/${project}/rulesets/new-${rulesets.size}`;
        rulesets.set(name, content);
        return { body: { name } };
      }
      case 'PATCH releases/cloud.firestore':
        assert.equal(body.release.name, releaseName);
        there.release = body.release.rulesetName;
        return { body: body.release };
      case 'POST releases':
        assert.equal(body.name, releaseName);
        there.release = body.rulesetName;
        return { body };
      case 'GET databases/(default)/collectionGroups/-/indexes': {
        // Page by page.
        const from = Number(url.searchParams.get('pageToken'));
        const page = there.indexes.slice(from, from + 20);
        return { body: { indexes: page, ...(from + 20 < there.indexes.length && { nextPageToken: String(from + 20) }) } };
      }
      case 'GET databases/(default)/collectionGroups/-/fields':
        assert.equal(url.searchParams.get('filter'), 'indexConfig.usesAncestorConfig=false OR ttlConfig:*');
        return { body: { fields: there.fields } };
      default:
        return refuse(404, 'NOT_FOUND', `${method} ${rest}`);
    }
  }

  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const text = Buffer.concat(chunks).toString();
    const url = new URL(request.url, 'http://127.0.0.1');
    const { code = 200, body } = answer(request.method, url, request, text && JSON.parse(text));
    response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const origin = `http://127.0.0.1:${server.address().port}`;
  await standIn('gcloud', `[[ "$*" == "auth print-access-token" ]] && echo ${TOKEN}`);
  return {
    projects,
    rulesets,
    writes,
    env: { FIREBASE_RULES_URL: origin, FIRESTORE_URL: origin },
    close: () => server.close(),
  };
}

/** Runs `deploy/rules`, which never says the token. */
async function rules(args, env) {
  const done = await script('rules', args, env);
  assert.ok(!(done.stdout + done.stderr).includes(TOKEN));
  return done;
}

test('rules that are released are compared with the repository\'s, and nothing is changed', async () => {
  const there = await google();
  try {
    const same = await rules(['check'], there.env);
    assert.equal(same.code, 0, same.stdout + same.stderr);
    assert.equal(same.stdout, '');

    // One line more in the assessment project.
    const [, assessment] = there.rulesets.keys();
    const before = there.rulesets.get(assessment);
    there.rulesets.set(assessment, before.replace('service cloud.firestore', '// Everybody.\nservice cloud.firestore'));
    const differs = await rules(['check'], there.env);
    assert.equal(differs.code, 1, differs.stderr);
    assert.match(differs.stdout, /^--- assessment-x: projects\/assessment-x\/rulesets\/r2\n\+\+\+ firestore\.assessment\.rules\n/);
    assert.match(differs.stdout, /^-\/\/ Everybody\.$/m);
    assert.match(differs.stderr, /admin-x: the rules are those of firestore\.rules/);

    // None at all.
    there.projects['admin-x'].release = undefined;
    const none = await rules(['check'], there.env);
    assert.equal(none.code, 1);
    assert.match(none.stdout, /^--- admin-x: nothing released$/m);
    assert.deepEqual(there.writes, []);
  } finally {
    there.close();
  }
});

test('indexes and TTL policies that are missing are named, and others are only told of', async () => {
  const there = await google();
  try {
    const { indexes, fields } = there.projects['admin-x'];
    // The last is on the last page.
    const lost = indexes.pop();
    const ttl = fields.find((field) => field.ttlConfig);
    delete ttl.ttlConfig;
    there.projects['assessment-x'].indexes.push({
      name: 'projects/assessment-x/databases/(default)/collectionGroups/others/indexes/X',
      queryScope: 'COLLECTION',
      fields: [{ fieldPath: 'a', order: 'ASCENDING' }, { fieldPath: 'b', order: 'DESCENDING' }],
    });
    const done = await rules(['check'], there.env);
    assert.equal(done.code, 1, done.stderr);
    const lacks = done.stdout.trim().split('\n').map((line) => JSON.parse(line.replace('admin-x lacks: ', '')));
    assert.equal(lacks.length, 2, done.stdout);
    const group = (name) => name.split('/collectionGroups/')[1].split('/')[0];
    assert.ok(lacks.some((index) => index.group === group(lost.name) && index.fields?.length === lost.fields.length - 1));
    assert.ok(lacks.some((field) => field.group === group(ttl.name) && field.ttl === true));
    assert.match(done.stderr, /assessment-x has also: .*"others".*"a ASCENDING","b DESCENDING"/);

    // These alone are no difference.
    indexes.push(lost);
    ttl.ttlConfig = { state: 'ACTIVE' };
    assert.equal((await rules(['check'], there.env)).code, 0);
  } finally {
    there.close();
  }
});

test('rules are released where there are others, and only there', async () => {
  const there = await google();
  try {
    const again = await rules([], there.env);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(there.writes, []);

    there.rulesets.set('projects/admin-x/rulesets/r1', 'rules_version = "2";\n');
    const done = await rules([], there.env);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(there.writes, ['POST admin-x rulesets', 'PATCH admin-x releases/cloud.firestore']);
    assert.match(done.stderr, /admin-x: released projects\/admin-x\/rulesets\/new-2; before: projects\/admin-x\/rulesets\/r1/);
    assert.equal((await rules(['check'], there.env)).code, 0);

    // The first ones of a project.
    there.writes.length = 0;
    there.projects['assessment-x'].release = undefined;
    assert.equal((await rules([], there.env)).code, 0);
    assert.deepEqual(there.writes, ['POST assessment-x rulesets', 'POST assessment-x releases']);
    assert.equal((await rules(['check'], there.env)).code, 0);
  } finally {
    there.close();
  }
});

test('rules that aren\'t sound change neither database', async () => {
  const there = await google();
  try {
    const bad = join(directory, 'bad.rules');
    await writeFile(bad, 'allow everything');
    there.rulesets.set('projects/admin-x/rulesets/r1', 'rules_version = "2";\n');
    const done = await rules([], { ...there.env, ROAR_ASSESSMENT_RULES: bad });
    assert.equal(done.code, 2, done.stderr);
    assert.match(done.stderr, /assessment-x: .*bad\.rules: HTTP 400: INVALID_ARGUMENT: Not rules\./);
    assert.deepEqual(there.writes, ['POST admin-x rulesets', 'POST assessment-x rulesets']);
    assert.equal(there.projects['admin-x'].release, 'projects/admin-x/rulesets/r1');
  } finally {
    there.close();
  }
});

test('what can\'t be known is neither the same nor different', async () => {
  const there = await google();
  try {
    await standIn('gcloud', 'echo ya29.somebody-else');
    const refused = await rules(['check'], there.env);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /admin-x: HTTP 401: UNAUTHENTICATED: Who are you\?/);
    await standIn('gcloud', 'exit 1');
    assert.equal((await rules(['check'], there.env)).code, 2);
    const far = await rules(['check'], { ...there.env, FIREBASE_RULES_URL: 'http://rules.example' });
    assert.equal(far.code, 2);
    assert.match(far.stderr, /isn't https/);
  } finally {
    there.close();
  }
  const nobody = await rules(['check'], there.env);
  assert.equal(nobody.code, 2);
});
