/** Our server and the original side by side, each with a client: for tests that hold both to the same replies. */
import { expect } from 'vitest';
import { verifyCore } from '../../../engines/redis/verify.ts';
import { encodeCommand, RespClient, RespError, type RespValue } from '../../support/resp-client.ts';
import { startOurs, startReal, type TestServer } from './servers.ts';

export type Arguments = readonly (string | number)[];

/** A reply as a value that can be compared and shown. */
export const shown = (value: RespValue): unknown => (value instanceof RespError ? `error: ${value.message}` : value);

const SHOWN_CHARS = 1_000;

export class Twins {
  readonly ours: TestServer;
  readonly real: TestServer;
  readonly mine: RespClient;
  readonly theirs: RespClient;

  private constructor(ours: TestServer, real: TestServer, mine: RespClient, theirs: RespClient) {
    this.ours = ours;
    this.real = real;
    this.mine = mine;
    this.theirs = theirs;
  }

  /** @param realFlags for the original's command line only */
  static async start(realFlags: readonly string[] = []): Promise<Twins> {
    const [ours, real] = await Promise.all([startOurs(), startReal(realFlags)]);
    const [mine, theirs] = await Promise.all([ours, real].map(({ path }) => RespClient.connect({ path })));
    return new Twins(ours, real, mine!, theirs!);
  }

  /** Memory that our server has allocated. */
  get usedBytes(): number {
    return this.ours.running!.core.allocator.usedBytes;
  }

  send(client: RespClient, commands: readonly Arguments[]): Promise<RespValue[]> {
    return client.raw(Buffer.concat(commands.map((command) => encodeCommand(command))), commands.length);
  }

  both(commands: readonly Arguments[]): Promise<[RespValue[], RespValue[]]> {
    return Promise.all([this.send(this.mine, commands), this.send(this.theirs, commands)]);
  }

  /** Sends the same to both, holds them to the same replies, and looks our data over. @returns the replies */
  async alike(commands: readonly Arguments[]): Promise<RespValue[]> {
    const [a, b] = await this.both(commands);
    for (let i = 0; i < commands.length; i++) {
      const what = JSON.stringify([commands[Math.max(0, i - 1)], commands[i]]).slice(0, SHOWN_CHARS);
      expect(shown(a[i]!), what).toEqual(shown(b[i]!));
    }
    verifyCore(this.ours.running!.core);
    return a;
  }

  async stop(): Promise<void> {
    await Promise.all([this.mine.close(), this.theirs.close()]);
    await Promise.all([this.ours.stop(), this.real.stop()]);
  }
}
