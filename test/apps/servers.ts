/** Every application test runs twice: on our server process, and on the original as the control. */
import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { requireReal } from '../support/real.ts';
import { embeddedCommand, realCommand, type StartedServer, startServer } from '../support/redis-pair.ts';

/** What a test of an application is given. */
export interface AppServer {
  /** Path of its Unix socket. */
  readonly socket: string;
  /** The process and its ways to be stopped. */
  readonly server: StartedServer;
}

/**
 * Runs the same tests on both servers, each with an empty server to begin with.
 * @param body makes the tests; `server()` is valid inside them
 */
export function onBothServers(title: string, body: (server: () => AppServer) => void): void {
  const kinds = [
    { name: 'our server', missing: false, command: embeddedCommand },
    { name: 'redis-server', missing: requireReal('redis-server') === null, command: realCommand },
  ];
  for (const { name, missing, command } of kinds) {
    describe.skipIf(missing)(`${title} on ${name}`, () => {
      let started: StartedServer | null = null;
      beforeAll(async () => {
        started = await startServer(command());
      });
      afterAll(async () => {
        await started?.stop();
      });
      beforeEach(async () => {
        const client = await started!.connect();
        await client.command('FLUSHALL');
        await client.close();
      });
      body(() => ({ socket: started!.socket, server: started! }));
    });
  }
}
