/** Suites of scripts that are played on our server and on the original, side by side. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { verifyCore } from '../../../engines/redis/verify.ts';
import { describeReal } from '../../support/real.ts';
import { RespClient } from '../../support/resp-client.ts';
import { playScript } from './script.ts';
import { startOurs, startReal, type TestServer } from './servers.ts';

const TIMEOUT_MS = 20_000;

/** Both servers, once they run. */
export interface ScriptServers {
  readonly ours: TestServer;
  readonly real: TestServer;
}

export interface ScriptSuite {
  /** What is played, by what it shows. */
  readonly scripts: Readonly<Record<string, readonly string[]>>;
  /** Commands that each script is preceded by, besides FLUSHALL. */
  readonly fresh?: readonly (readonly string[])[];
  /** Takes out of what is said what differs from run to run; `lines` after that. */
  readonly normal?: (text: string) => string;
  readonly lines?: (text: string) => string;
  /** What must hold of our server after each script, besides that its data are whole. */
  readonly check?: (server: TestServer) => void;
}

/** @param more further tests of the same servers */
export function describeScripts(
  title: string,
  suite: ScriptSuite,
  more: (servers: () => ScriptServers) => void = () => {},
): void {
  describeReal(['redis-server'], title, () => {
    let servers: ScriptServers;

    beforeAll(async () => {
      const [ours, real] = await Promise.all([startOurs(), startReal()]);
      servers = { ours, real };
    });
    afterAll(async () => {
      await Promise.all([servers?.ours.stop(), servers?.real.stop()]);
    });
    beforeEach(async () => {
      for (const server of [servers.ours, servers.real]) {
        const client = await RespClient.connect({ path: server.path });
        for (const words of [['FLUSHALL'], ...(suite.fresh ?? [])]) await client.command(...words);
        await client.close();
      }
    });

    for (const [name, lines] of Object.entries(suite.scripts)) {
      it(`${name}, as in the original`, { timeout: TIMEOUT_MS }, async () => {
        const { ours, real } = servers;
        const said = await Promise.all([ours, real].map((server) => playScript(server, lines, suite.normal)));
        const [mine, theirs] = said.map((all) => all.map(suite.lines ?? ((text) => text)));
        expect(mine).toEqual(theirs);
        verifyCore(ours.running!.core);
        suite.check?.(ours);
      });
    }
    more(() => servers);
  });
}
