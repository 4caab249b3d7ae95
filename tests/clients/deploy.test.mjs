// The scripts of deploy/, with stand-ins for Google: programs that write down what they're asked, and servers with the
// shape of its APIs.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';

import { directory, PROJECTS, recorder, script, standIn, TOKEN } from './support/deploy.mjs';
import { repository } from './support/projects.mjs';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const IMAGE = `us-central1-docker.pkg.dev/admin-x/roar/roar-functions@${DIGEST}`;

test('the images that the Dockerfile starts from are pinned', async () => {
  const pinned = await script('pin-images', ['check'], {});
  assert.equal(pinned.code, 0, pinned.stderr);
  const text = await readFile(join(repository, 'deploy/Dockerfile'), 'utf8');
  const from = [...text.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  assert.equal(from.length, 2);
  assert.ok(from.every((image) => /@sha256:[0-9a-f]{64}$/.test(image)), String(from));

  // What isn't pinned is refused, an earlier stage isn't asked for.
  const DOCKERFILE = join(directory, 'Dockerfile');
  await writeFile(DOCKERFILE, `FROM --platform=linux/amd64 rust:1 AS build\nFROM localhost:5000/base:2@sha256:${'0'.repeat(64)}\nFROM build\nFROM scratch\n`);
  const loose = await script('pin-images', ['check'], { DOCKERFILE });
  assert.equal(loose.code, 1);
  assert.match(loose.stderr, /rust:1 isn't pinned/);

  // The digest is that of the bytes that the registry has.
  const asked = await recorder('skopeo', 'printf "{\\"of\\":\\"$3\\"}\\n"');
  const done = await script('pin-images', [], { DOCKERFILE });
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await asked(), ['inspect --raw docker://rust:1', 'inspect --raw docker://localhost:5000/base:2']);
  const sum = (image) => createHash('sha256').update(`{"of":"docker://${image}"}\n`).digest('hex');
  const written = `FROM --platform=linux/amd64 rust:1@sha256:${sum('rust:1')} AS build\nFROM localhost:5000/base:2@sha256:${sum('localhost:5000/base:2')}\nFROM build\nFROM scratch\n`;
  assert.equal(await readFile(DOCKERFILE, 'utf8'), written);
  assert.equal((await script('pin-images', ['check'], { DOCKERFILE })).code, 0);
  assert.equal((await script('pin-images', [], { DOCKERFILE })).stdout, '');

  // A registry that doesn't answer changes nothing.
  await standIn('skopeo', 'exit 1');
  assert.equal((await script('pin-images', [], { DOCKERFILE })).code, 1);
  assert.equal(await readFile(DOCKERFILE, 'utf8'), written);
});

test('the list of crates has what is compiled, and is held against the lock file and the program', async () => {
  const lock = await readFile(join(repository, 'Cargo.lock'), 'utf8');
  const locked = (name) => {
    const [, version, checksum] = new RegExp(`name = "${name}"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"`).exec(lock);
    return { name, version, checksum };
  };
  const [, version] = /name = "roar-functions"\nversion = "(.*)"/.exec(lock);
  const [bytes, serde] = [locked('bytes'), locked('serde')];
  const component = ({ name, version: of, checksum }) => ({
    'type': 'library', 'bom-ref': `registry#${name}@${of}`, name, 'version': of, 'purl': `pkg:cargo/${name}@${of}`,
    'hashes': [{ alg: 'SHA-256', content: checksum }],
  });
  // The tool names a crate that isn't compiled, and where on this machine it ran.
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    metadata: { component: { 'bom-ref': 'path+file:///home/somebody', 'name': 'roar-functions', version, 'components': [{ name: 'bin' }] } },
    components: [component(bytes), component(serde)],
    dependencies: [
      { ref: 'path+file:///home/somebody', dependsOn: [component(bytes), component(serde)].map((crate) => crate['bom-ref']) },
      { ref: component(bytes)['bom-ref'], dependsOn: [component(serde)['bom-ref']] },
      { ref: component(serde)['bom-ref'] },
    ],
  };
  await writeFile(join(directory, 'bom.json'), JSON.stringify(bom));
  await standIn('cargo', `case "$1" in
    tree) printf 'roar-functions v${version} (/home/somebody)\\nbytes v${bytes.version}\\nbytes v${bytes.version}\\n' ;;
    cyclonedx) cp '${join(directory, 'bom.json')}' "\${*: -1}.json" ;;
esac`);
  const file = join(directory, 'sbom.cdx.json');
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const made = await script('sbom', [file], env);
  assert.equal(made.code, 0, made.stderr);
  const written = JSON.parse(await readFile(file, 'utf8'));
  const purl = `pkg:cargo/roar-functions@${version}`;
  assert.deepEqual(written.components, [component(bytes)]);
  assert.deepEqual(written.dependencies, [{ ref: purl, dependsOn: [component(bytes)['bom-ref']] }, { ref: component(bytes)['bom-ref'], dependsOn: [] }]);
  assert.ok(!JSON.stringify(written).includes('somebody'));
  assert.equal((await script('sbom', ['check', file], env)).code, 0);

  const wrong = async (components, why) => {
    const other = join(directory, 'other.cdx.json');
    await writeFile(other, JSON.stringify({ ...written, components }));
    const done = await script('sbom', ['check', other], env);
    assert.equal(done.code, 1);
    assert.match(done.stderr, why);
  };
  await wrong([], /lacks bytes /);
  await wrong([component(bytes), component(serde)], /has what isn't compiled: serde /);
  await wrong([component(bytes), component(bytes)], /names a crate twice/);
  await wrong([component({ ...bytes, checksum: '00' })], /has another checksum for bytes /);
  await wrong([{ ...component(bytes), purl: 'pkg:cargo/bytes@0' }], /has pkg:cargo\/bytes@0 for bytes /);

  // A program's list is compressed JSON.
  const program = async (packages) => {
    const section = packages ? deflateSync(JSON.stringify({ packages })) : Buffer.alloc(0);
    await writeFile(join(directory, 'section'), section);
    await standIn('objcopy', `cat '${join(directory, 'section')}'`);
    return script('sbom', ['check', file, '/usr/bin/env'], env);
  };
  const root = { name: 'roar-functions', version, root: true };
  assert.equal((await program([root, bytes])).code, 0);
  // More than is compiled may be in it, if it was resolved.
  assert.equal((await program([root, bytes, serde])).code, 0);
  assert.match((await program([root, serde])).stderr, /was made without bytes /);
  assert.match((await program([root, bytes, { name: 'bytes', version: '0.0.1' }])).stderr, /what Cargo\.lock doesn't have: bytes 0\.0\.1/);
  assert.match((await program([{ ...root, name: 'another' }, bytes])).stderr, /isn't roar-functions/);
  assert.match((await program(undefined)).stderr, /has no list of its crates/);
});

test('an image is rolled out when the workflow on main signed it, and GitHub has where it comes from', async () => {
  const env = { PROJECT: 'admin-x', REGION: 'us-central1', SIGNER: 'owner/name' };
  const verified = await recorder('cosign', '[[ -z "${COSIGN_FAILS:-}" ]]');
  const attested = await recorder('gh', '[[ "$*" != *"${GH_FAILS:-nothing}"* ]]');
  const deployed = await recorder('gcloud', 'exit 1');

  assert.equal((await script('verify', [IMAGE], env)).code, 0);
  assert.deepEqual(await verified(), [
    `verify ${IMAGE} --certificate-oidc-issuer=https://token.actions.githubusercontent.com --certificate-identity=https://github.com/owner/name/.github/workflows/deploy.yml@refs/heads/main`,
  ]);
  const types = (await attested()).map((line) => /^attestation verify oci:\/\/\S+ --repo=owner\/name --signer-workflow=owner\/name\/\.github\/workflows\/deploy\.yml --source-ref=refs\/heads\/main .*--predicate-type=(\S+)$/.exec(line)[1]);
  assert.deepEqual(types, ['https://slsa.dev/provenance/v1', 'https://cyclonedx.org/bom']);

  // Each of these is enough not to.
  for (const [why, wrong] of [
    [/refused: .* isn't signed by owner\/name's/, { COSIGN_FAILS: '1' }],
    [/refused: GitHub has no https:\/\/slsa\.dev\/provenance\/v1/, { GH_FAILS: 'slsa.dev' }],
    [/refused: GitHub has no https:\/\/cyclonedx\.org\/bom/, { GH_FAILS: 'cyclonedx.org' }],
    [/who must have signed it\?/, { SIGNER: '' }],
    [/who must have signed it\?/, { SIGNER: 'owner/name@refs/heads/other' }],
  ]) {
    const done = await script('rollout', [IMAGE], { ...env, ...wrong });
    assert.equal(done.code, 1);
    assert.match(done.stderr, why);
    assert.match(done.stderr, /nothing has changed/);
  }
  assert.deepEqual(await deployed(), []);
  const tagged = await script('verify', [IMAGE.replace(`@${DIGEST}`, ':1')], env);
  assert.match(tagged.stderr, /an image by digest is wanted/);

  // Once it's right, the service is asked for.
  await script('rollout', [IMAGE], env);
  assert.match((await deployed())[0], /^run services describe roar-functions /);
  // What was rolled out before needs no signature to serve again.
  await script('rollout', ['--back', 'roar-functions-00001-abc'], { ...env, COSIGN_FAILS: '1' });
  assert.match((await deployed()).at(-1), /^run services update-traffic roar-functions .*--to-revisions=roar-functions-00001-abc=100/);
});

test('images are signed by the run, or with a key, and attested to where there is an attestor', async () => {
  const signed = await recorder('cosign');
  const attested = await recorder('gcloud');
  assert.equal((await script('sign', [IMAGE], {})).code, 0);
  assert.equal((await script('sign', [IMAGE], { COSIGN_KEY: 'gcpkms://key', ATTESTOR_KEY: 'projects/admin-x/key/1' })).code, 0);
  assert.deepEqual(await signed(), [`sign --yes ${IMAGE}`, `sign --yes --key gcpkms://key ${IMAGE}`]);
  assert.equal((await attested()).length, 1);
  assert.match((await attested())[0], /sign-and-create --project=admin-x --artifact-url=\S+@sha256:\S+ --attestor=roar --attestor-project=admin-x --keyversion=projects\/admin-x\/key\/1 --validate$/);
  assert.equal((await script('verify', [IMAGE], { COSIGN_KEY: 'gcpkms://key' })).code, 0);
  assert.equal((await signed()).at(-1), `verify --key gcpkms://key ${IMAGE}`);
  assert.equal((await script('sign', ['roar-functions:latest'], {})).code, 1);
});

/** Policies of projects, as gcloud gets and sets them: in files. */
async function policies(policy) {
  for (const project of Object.values(PROJECTS)) await writeFile(join(directory, `${project}.policy`), JSON.stringify(policy));
  const asked = await recorder('gcloud', `cd '${directory}'
case "$2" in
    get-iam-policy) cat "$3.policy" ;;
    set-iam-policy) cp "$4" "$3.policy" ;;
esac`);
  return {
    read: async (project) => JSON.parse(await readFile(join(directory, `${project}.policy`), 'utf8')),
    writes: async () => (await asked()).filter((line) => line.includes(' set-iam-policy ')),
  };
}

test('audit logs are switched on beside what is there, once', async () => {
  const service = (project) => `serviceAccount:roar-functions@${project}.iam.gserviceaccount.com`;
  const bindings = [{ role: 'roles/owner', members: ['user:a@example.org'] }];
  const there = await policies({
    etag: 'BwX',
    version: 3,
    bindings,
    auditConfigs: [
      { service: 'storage.googleapis.com', auditLogConfigs: [{ logType: 'DATA_READ' }] },
      { service: 'datastore.googleapis.com', auditLogConfigs: [{ logType: 'DATA_WRITE', exemptedMembers: ['user:b@example.org'] }] },
    ],
  });
  const both = [service('admin-x'), service('assessment-x')];
  assert.equal((await script('audit.sh', [], {})).code, 0);
  assert.equal((await there.writes()).length, 2);
  for (const project of Object.values(PROJECTS)) {
    const policy = await there.read(project);
    assert.deepEqual({ ...policy, auditConfigs: undefined }, { etag: 'BwX', version: 3, bindings, auditConfigs: undefined });
    assert.deepEqual(policy.auditConfigs, [
      { service: 'storage.googleapis.com', auditLogConfigs: [{ logType: 'DATA_READ' }] },
      {
        service: 'datastore.googleapis.com',
        auditLogConfigs: [
          { logType: 'DATA_WRITE', exemptedMembers: ['user:b@example.org'] },
          { logType: 'ADMIN_READ', exemptedMembers: both },
          { logType: 'DATA_READ', exemptedMembers: both },
        ],
      },
      { service: 'identitytoolkit.googleapis.com', auditLogConfigs: [{ logType: 'ADMIN_READ' }, { logType: 'DATA_READ' }, { logType: 'DATA_WRITE' }] },
    ]);
  }

  const again = await script('audit.sh', [], {});
  assert.match(again.stderr, /admin-x: nothing to change/);
  assert.equal((await there.writes()).length, 2);

  // The service's own too; others stay left out, and nobody is left out again afterwards.
  assert.equal((await script('audit.sh', [], { EVERYTHING: '1' })).code, 0);
  assert.equal((await script('audit.sh', [], {})).code, 0);
  assert.equal((await there.writes()).length, 4);
  const { auditConfigs } = await there.read('admin-x');
  const [{ auditLogConfigs }] = auditConfigs.filter(({ service: of }) => of === 'datastore.googleapis.com');
  assert.deepEqual(auditLogConfigs, [{ logType: 'DATA_WRITE', exemptedMembers: ['user:b@example.org'] }, { logType: 'ADMIN_READ' }, { logType: 'DATA_READ' }]);
});

test('reads of documents are not switched on where they are not wanted', async () => {
  const there = await policies({ etag: 'BwX', bindings: [] });
  assert.equal((await script('audit.sh', [], { READS: 'no', EVERYTHING: '1' })).code, 0);
  const { auditConfigs } = await there.read('assessment-x');
  assert.deepEqual(auditConfigs.map(({ service, auditLogConfigs }) => [service, auditLogConfigs.map(({ logType }) => logType)]), [
    ['datastore.googleapis.com', ['ADMIN_READ', 'DATA_WRITE']],
    ['identitytoolkit.googleapis.com', ['ADMIN_READ', 'DATA_READ', 'DATA_WRITE']],
  ]);
});

test('the service gets a role with what it asks of accounts, and loses the larger one', async () => {
  const state = join(directory, 'role');
  await rm(state, { force: true });
  const calls = await recorder('gcloud', `case "$*" in
    "iam roles describe "*) [[ -e '${state}' ]] ;;
    "iam roles create "*) touch '${state}' ;;
    "projects get-iam-policy "*) [[ -n "\${OLD:-}" ]] && echo roles/firebaseauth.admin || true ;;
    *projectNumber*) echo 12345 ;;
esac`);
  const env = { PROJECT: 'admin-x', REGION: 'us-central1' };
  const first = await script('accounts.sh', [], { ...env, OLD: '1' });
  assert.equal(first.code, 0, first.stderr);
  const made = (await calls()).filter((line) => line.startsWith('iam roles create') || line.startsWith('iam roles update'));
  assert.equal(made.length, 2);
  for (const line of made) {
    assert.match(line, / --permissions=firebaseauth\.users\.create,firebaseauth\.users\.delete,firebaseauth\.users\.get,firebaseauth\.users\.update /);
  }
  const removed = (await calls()).filter((line) => line.startsWith('projects remove-iam-policy-binding'));
  assert.deepEqual(removed, ['admin-x', 'assessment-x'].map((project) =>
    `projects remove-iam-policy-binding ${project} --role=roles/firebaseauth.admin --member=serviceAccount:roar-functions@admin-x.iam.gserviceaccount.com --condition=None --quiet`));
  const bound = (await calls()).findIndex((line) => line.startsWith('projects add-iam-policy-binding admin-x --role=projects/admin-x/roles/roarAccounts'));
  assert.ok(bound >= 0 && bound < (await calls()).indexOf(removed[0]));

  // Again, there's nothing to take away.
  const before = (await calls()).length;
  assert.equal((await script('accounts.sh', [], env)).code, 0);
  const later = (await calls()).slice(before);
  assert.ok(!later.some((line) => line.includes('remove-iam-policy-binding') || line.startsWith('iam roles create')));
  assert.ok(!(await calls()).some((line) => line.includes('add-iam-policy-binding') && line.includes('firebaseauth.admin')));
});

test('the attestor is made once, and a policy is never weakened', async () => {
  const kept = { name: 'p', etag: 'e', globalPolicyEvaluationMode: 'ENABLE', admissionWhitelistPatterns: [{ namePattern: 'gcr.io/theirs/*' }] };
  const policy = (project) => join(directory, `${project}.binauthz`);
  for (const project of Object.values(PROJECTS)) {
    await writeFile(policy(project), JSON.stringify({ ...kept, defaultAdmissionRule: { evaluationMode: 'ALWAYS_ALLOW', enforcementMode: 'ENFORCED_BLOCK_AND_AUDIT_LOG' } }));
  }
  const key = 'projects/admin-x/locations/us-central1/keyRings/roar/cryptoKeys/attestor/cryptoKeyVersions/1';
  const calls = await recorder('gcloud', `cd '${directory}'
all="$*" project="\${all##*--project=}"; project="\${project%% *}"
case "$*" in
    "container binauthz policy export "*) cat "$project.binauthz" ;;
    "container binauthz policy import "*) cp "$5" "$project.binauthz" ;;
    *"--format=value(projectNumber)") echo 12345 ;;
    *"--format=value(userOwnedGrafeasNote.publicKeys.id)") [[ ! -e made-key ]] || echo "//cloudkms.googleapis.com/v1/${key}" ;;
    *" public-keys add "*) touch made-key ;;
    "auth print-access-token") echo ${TOKEN} ;;
    *" describe "*) name="made-$(tr -c 'a-zA-Z\\n' '-' <<<"$all")"; [[ -e "$name" ]] || { touch "$name"; exit 1; } ;;
esac`);
  let note;
  let notePolicy = { etag: 'n', bindings: [{ role: 'roles/containeranalysis.notes.attacher', members: ['user:a@example.org'] }] };
  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString();
    const answer = (code, body) => response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    assert.equal(request.headers.authorization, `Bearer ${TOKEN}`);
    switch (`${request.method} ${request.url.replace('/v1/projects/admin-x/notes', '')}`) {
      case 'GET /roar': return note ? answer(200, note) : answer(404, { error: { message: 'No note.' } });
      case 'POST ?noteId=roar': note = JSON.parse(text); return answer(200, note);
      case 'POST /roar:getIamPolicy': return answer(200, notePolicy);
      case 'POST /roar:setIamPolicy': notePolicy = JSON.parse(text).policy; return answer(200, notePolicy);
      default: return answer(404, { error: { message: request.url } });
    }
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  try {
    const env = { REGION: 'us-central1', CONTAINER_ANALYSIS_URL: `http://127.0.0.1:${server.address().port}` };
    const read = async (project) => JSON.parse(await readFile(policy(project), 'utf8'));
    const rule = (enforcementMode) => ({ evaluationMode: 'REQUIRE_ATTESTATION', enforcementMode, requireAttestationsBy: ['projects/admin-x/attestors/roar'] });

    const first = await script('attestor.sh', [], env);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, new RegExp(`^ATTESTOR_KEY=${key}$`, 'm'));
    assert.ok(!(first.stdout + first.stderr).includes(TOKEN));
    for (const project of Object.values(PROJECTS)) {
      assert.deepEqual(await read(project), { ...kept, defaultAdmissionRule: rule('DRYRUN_AUDIT_LOG_ONLY') });
    }
    const members = (role) => notePolicy.bindings.find((binding) => binding.role === role).members;
    assert.equal(notePolicy.etag, 'n');
    assert.deepEqual(members('roles/containeranalysis.notes.attacher'), ['serviceAccount:roar-deployer@admin-x.iam.gserviceaccount.com', 'user:a@example.org']);
    assert.deepEqual(members('roles/containeranalysis.notes.occurrences.viewer'), ['serviceAccount:service-12345@gcp-sa-binaryauthorization.iam.gserviceaccount.com']);
    assert.ok((await calls()).some((line) => line.startsWith('container binauthz attestors public-keys add') && line.endsWith(`--keyversion=${key}`)));

    // Again: nothing is made, and no policy is written.
    const before = (await calls()).length;
    const again = await script('attestor.sh', [], env);
    assert.equal(again.code, 0, again.stderr);
    const later = (await calls()).slice(before);
    assert.deepEqual(later.filter((line) => / (create|import|public-keys add) /.test(line) && !line.startsWith('beta services identity')), []);

    // Enforced, with an exemption; and it stays so.
    assert.equal((await script('attestor.sh', [], { ...env, ENFORCE: '1', EXEMPT: 'us-docker.pkg.dev/sidecar/*' })).code, 0);
    assert.equal((await script('attestor.sh', [], env)).code, 0);
    const enforced = await read('assessment-x');
    assert.deepEqual(enforced.defaultAdmissionRule, rule('ENFORCED_BLOCK_AND_AUDIT_LOG'));
    assert.deepEqual(enforced.admissionWhitelistPatterns, [{ namePattern: 'gcr.io/theirs/*' }, { namePattern: 'us-docker.pkg.dev/sidecar/*' }]);
  } finally {
    server.close();
  }
});
