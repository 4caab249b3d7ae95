// The two SDKs: firebase-admin, which may do anything (it seeds and checks), and the client SDK,
// which acts for a signed-in person and is held to the security rules.

import { deleteApp as deleteAdminApp, initializeApp as initializeAdminApp } from 'firebase-admin/app';
import { getAuth as getAdminAuth } from 'firebase-admin/auth';
import { getFirestore as getAdminFirestore } from 'firebase-admin/firestore';
import { deleteApp, initializeApp } from 'firebase/app';
import {
  connectAuthEmulator, getAuth, OAuthProvider, onIdTokenChanged, signInWithCredential, signInWithEmailAndPassword,
} from 'firebase/auth';
import { connectFirestoreEmulator, getFirestore, setLogLevel, terminate } from 'firebase/firestore';
import { connectFunctionsEmulator, getFunctions, httpsCallable } from 'firebase/functions';

import { ADMIN_PROJECT, ASSESSMENT_PROJECT } from './projects.mjs';
import { secret } from './secrets.mjs';

// A refused write is what some tests want; the SDK would report each on the console.
setLogLevel('silent');

export const PASSWORD = 'reading-is-fun-1';

/** The SDKs against a suite of servers. `close` lets the process end. */
export function openSdks(suite) {
  const adminApp = initializeAdminApp({ projectId: ADMIN_PROJECT });
  const db = getAdminFirestore(adminApp);
  const auth = getAdminAuth(adminApp);
  const assessmentApp = initializeAdminApp({ projectId: ASSESSMENT_PROJECT }, 'assessment');
  const assessment = { db: getAdminFirestore(assessmentApp), auth: getAdminAuth(assessmentApp) };
  const clients = [];

  /** A client app; nobody is signed in. */
  const client = (name) => {
    const app = initializeApp({ projectId: ADMIN_PROJECT, apiKey: 'none-is-needed' }, `${name}-${clients.length}`);
    const clientAuth = getAuth(app);
    connectAuthEmulator(clientAuth, `http://127.0.0.1:${suite.authPort}`, { disableWarnings: true });
    const firestore = getFirestore(app);
    connectFirestoreEmulator(firestore, '127.0.0.1', suite.firestorePort);
    const functions = getFunctions(app);
    connectFunctionsEmulator(functions, '127.0.0.1', suite.functionsPort);
    clients.push({ app, firestore });
    return {
      auth: clientAuth,
      db: firestore,
      call: async (name, data) => (await httpsCallable(functions, name)(data)).data,
      /** The same as a stream: `{ stream, data }`. */
      stream: (name, data) => httpsCallable(functions, name).stream(data),
    };
  };

  return {
    db,
    auth,
    /** The same for the assessment project. */
    assessment,
    anonymous: () => client('nobody'),
    /** Makes the person's Auth account. ROAR's custom claims name the user document. */
    async createAccount({ uid, email, claims }) {
      await auth.createUser({ uid, email, password: PASSWORD });
      await auth.setCustomUserClaims(uid, claims);
    },
    /**
     * Makes the assessment project's account of a person who has one in the admin project. The library
     * signs in to it with the other's ID token, as with that of an identity provider: an account with the
     * same e-mail that isn't linked to this provider keeps the person out
     * (`auth/account-exists-with-different-credential`).
     */
    async createAssessmentAccount({ uid, adminUid, email }) {
      await assessment.auth.createUser({ uid, email });
      const providerId = `oidc.${ADMIN_PROJECT}`;
      await assessment.auth.updateUser(uid, { providerToLink: { providerId, uid: adminUid, email } });
    },
    /** A client app with the person signed in. */
    async signIn(email, password = PASSWORD) {
      secret(email, password);
      const signedIn = client(email);
      await signInWithEmailAndPassword(signedIn.auth, email, password);
      // Each token that the SDK comes to use.
      onIdTokenChanged(signedIn.auth, async (user) => user && secret(await user.getIdToken(), user.refreshToken));
      return signedIn;
    },
    /** A client app with somebody signed in who has another provider vouch for them; new accounts are made. */
    async signInThrough(providerId, { sub, email }) {
      secret(email);
      const signedIn = client(sub);
      // The emulator takes a provider's word without a signature.
      const idToken = JSON.stringify({ sub, email, email_verified: false });
      await signInWithCredential(signedIn.auth, new OAuthProvider(providerId).credential({ idToken }));
      return signedIn;
    },
    async close() {
      await Promise.all(
        clients.map(async ({ app, firestore }) => {
          await terminate(firestore);
          await deleteApp(app);
        }),
      );
      await Promise.all([adminApp, assessmentApp].map((app) => deleteAdminApp(app)));
    },
  };
}
