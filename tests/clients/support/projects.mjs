// What everything here runs with.

import { fileURLToPath } from 'node:url';

// A `demo-` project is one that Google's tools never look for in the cloud.
export const ADMIN_PROJECT = 'demo-roar-admin';
export const ASSESSMENT_PROJECT = 'demo-roar-assessment';

export const repository = fileURLToPath(new URL('../../../', import.meta.url));
