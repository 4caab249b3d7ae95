// A small HTTP server in front of others.

import { createServer, request as send } from 'node:http';

/**
 * Starts a front on a port of the loopback. `handle(request, body)` says what becomes of a request:
 * `{ port }` hands it on to the server there, `{ status, json }` answers it.
 */
export async function startFront(name, port, handle) {
  const server = createServer(async (request, response) => {
    const answer = (status, json) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    try {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const { port: behind, status, json } = await handle(request, body);
      if (behind === undefined) return answer(status, json);
      const { method, url, headers } = request;
      const onward = send({ host: '127.0.0.1', port: behind, method, path: url, headers }, (answered) => {
        response.writeHead(answered.statusCode, answered.headers);
        answered.pipe(response);
      });
      onward.on('error', (error) => answer(502, { error: { status: 'UNAVAILABLE', message: `${name}: ${error.message}` } }));
      onward.end(body);
    } catch (error) {
      answer(500, { error: { status: 'INTERNAL', message: `${name}: ${error.stack}` } });
    }
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
