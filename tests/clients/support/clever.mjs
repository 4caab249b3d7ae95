// A made-up Clever, which comes with the server: what happens to its records is posted to it.

import { eventually, start } from './processes.mjs';
import { secret } from './secrets.mjs';

const CLIENT = { id: 'fake-client', key: 'fake-client-secret' };

/** How our server asks it. */
export const cleverSettings = (port) => ({
  ROAR_CLEVER_API_URL: `http://127.0.0.1:${port}`,
  ROAR_CLEVER_OAUTH_URL: `http://127.0.0.1:${port}`,
  ROAR_CLEVER_CLIENT_ID: CLIENT.id,
  ROAR_CLEVER_CLIENT_SECRET: CLIENT.key,
  // Several pages of everybody, and a failure isn't waited out for minutes.
  ROAR_CLEVER_PAGE_LIMIT: '100',
  ROAR_CLEVER_ATTEMPTS: '2',
});

export async function startClever(binary, port, args) {
  const clever = start('fake-clever', binary, ['fake-clever', '--listen', `127.0.0.1:${port}`, ...args]);
  await eventually('Clever answers', async () => {
    clever.check();
    await tokens(port);
  });
  return clever;
}

async function get(url, authorization) {
  const response = await fetch(url, { headers: { authorization } });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response.json();
}

async function tokens(port) {
  const basic = Buffer.from(`${CLIENT.id}:${CLIENT.key}`).toString('base64');
  const { data } = await get(`http://127.0.0.1:${port}/oauth/tokens?owner_type=district`, `Basic ${basic}`);
  return data;
}

/** Its district, as an admin of Clever's sees it and changes it. */
export async function openClever(port) {
  const [{ owner, access_token: token }] = await tokens(port);
  secret(token, CLIENT.key);
  const url = `http://127.0.0.1:${port}`;
  return {
    district: owner.id,
    /** All records of a list: `sections`. */
    async list(name) {
      const records = [];
      let next = `/v3.1/${name}?limit=1000`;
      while (next) {
        const { data, links } = await get(`${url}${next}`, `Bearer ${token}`);
        records.push(...data.map((each) => each.data));
        next = links.find((link) => link.rel === 'next')?.uri;
      }
      return records;
    },
    /** Changes something, or lets it fail; see `roar-functions fake-clever --help`. */
    async change(action, details = {}) {
      const response = await fetch(`${url}/_control`, { method: 'POST', body: JSON.stringify({ action, ...details }) });
      if (!response.ok) throw new Error(`${action}: ${response.status} ${await response.text()}`);
      return response.json();
    },
  };
}
