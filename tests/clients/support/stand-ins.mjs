// Callables that the client library can't do without and that the server doesn't have yet. Each answers
// as the real one will, and everything else goes to the server. Once the server has one, the test says so,
// and it must go from here.
//
// - setUidClaims: called at every sign-in. Without it sign-in fails (`functions/not-found`), although the
//   person is by then signed in to both projects.

import { startFront } from './front.mjs';
import { freePorts } from './processes.mjs';

function standIns(sdks) {
  return {
    /** Tells both projects who a person is: in the ID tokens, and in `userClaims`. */
    async setUidClaims(caller, { assessmentUid }) {
      const adminUid = caller.sub;
      const [admin, assessment] = [
        { ...sdks, uid: adminUid },
        { ...sdks.assessment, uid: assessmentUid },
      ];
      const { claims } = (await admin.db.doc(`userClaims/${adminUid}`).get()).data();
      const uids = { roarUid: claims.roarUid, adminUid, assessmentUid };
      for (const { auth, db, uid } of [admin, assessment]) {
        const { customClaims } = await auth.getUser(uid);
        await auth.setCustomUserClaims(uid, { ...customClaims, ...uids });
        await db.doc(`userClaims/${uid}`).set({ claims: uids, lastUpdated: Date.now() }, { merge: true });
      }
      return { status: 'ok', userClaims: uids };
    },
  };
}

/** A front of the server that answers the above itself. Its port is where the library's callables go. */
export async function startStandIns(suite, sdks) {
  const callables = standIns(sdks);
  for (const name of Object.keys(callables)) {
    const { status } = await fetch(`http://127.0.0.1:${suite.functionsPort}/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"data":null}',
    });
    if (status !== 404) throw new Error(`The server has ${name} now: take its stand-in out of support/stand-ins.mjs.`);
  }
  const [port] = await freePorts(1);
  const front = await startFront('stand-ins', port, async ({ url, headers }, body) => {
    const name = new URL(url, 'http://localhost').pathname.split('/').at(-1);
    if (!Object.hasOwn(callables, name)) return { port: suite.functionsPort };
    // Emulators don't sign tokens.
    const caller = JSON.parse(Buffer.from(headers.authorization.split('.')[1], 'base64url'));
    return { status: 200, json: { result: await callables[name](caller, JSON.parse(body).data) } };
  });
  return { port, stop: front.stop };
}
