/** Doing the effects of random commands again gives the same data; where memory runs out, either that or the word that a unit is lost. */
import { expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { attachAdmin } from '../../engines/redis/admin.ts';
import { CMD_LOADING } from '../../engines/redis/command.ts';
import { dataDigest } from '../../engines/redis/digest.ts';
import { ARENA_EXHAUSTED } from '../../engines/redis/structures/heap.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { encodeCommand } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';
import { AllCommands } from './support/random-all.ts';

const ARENA_BYTES = 128 * 1024 * 1024;
const COMMANDS = 1_500 * testScale;

/**
 * BITFIELD makes room for what it is to set before it knows whether that overflows. When it then sets nothing (OVERFLOW FAIL) the
 * original keeps the room, and writes nothing down: the one command whose effects do not give the same data, there as here.
 */
function growsInSilence(args: readonly string[]): boolean {
  return /^bitfield$/i.test(args[0]!) && args.some((arg) => /^fail$/i.test(arg));
}

/** A server and a copy of it that gets its effects. */
class Copied {
  readonly lab = new Loopback(ARENA_BYTES, () => {}, 1);
  readonly copy = new Loopback(ARENA_BYTES, () => {}, 2);
  lost = 0;
  /** The sink has no room for the next unit. */
  full = false;
  effects: Buffer[] = [];
  /** What the last command was answered. */
  reply = '';

  constructor() {
    for (const one of [this.lab, this.copy]) {
      attachAdmin(one.core);
      // Keys expire when they are met, on either side.
      one.core.activeExpireEnabled = false;
      one.open(0);
    }
    // What comes from a file is not checked against limits again.
    this.copy.core.persistence.loading = true;
    for (const command of this.copy.core.commands.all) {
      for (const one of [command, ...(command.subcommands?.all ?? [])]) {
        (one as { flags: number }).flags |= CMD_LOADING;
      }
    }
    this.lab.core.effects.listen(
      (offset, length) => {
        if (this.full) throw ARENA_EXHAUSTED;
        this.effects.push(Buffer.from(this.lab.memory.u8.slice(offset, offset + length)));
      },
      () => this.lost++,
    );
  }

  /** Runs a command, and what came of it on the copy. @returns whether its effects were lost */
  run(args: readonly string[]): boolean {
    const { lost } = this;
    this.lab.feed(0, encodeCommand(args));
    this.reply = this.lab.take(0).toString('latin1');
    // What the data look like may depend on the configuration, which is no effect.
    if (/^config$/i.test(args[0]!)) this.copy.feed(0, encodeCommand(args));
    for (const effect of this.effects.splice(0)) this.copy.feed(0, effect);
    this.copy.take(0);
    return this.lost !== lost;
  }

  get same(): boolean {
    return dataDigest(this.lab.core) === dataDigest(this.copy.core);
  }

  /** Begins anew on both sides, as a rewrite does. */
  restart(): void {
    this.lab.command(0, 'FLUSHALL');
    this.copy.command(0, 'FLUSHALL');
    this.effects.length = 0;
    this.lab.core.effects.forgetSelected();
  }
}

it('gives the same data', { timeout: 60_000 * testScale }, () => {
  const random = seededRandom('effects done again');
  const both = new Copied();
  const commands = new AllCommands(createRandom(random.nextU32()));
  for (let i = 0; i < COMMANDS; i++) {
    const { args } = commands.next();
    if (growsInSilence(args)) continue;
    both.run(args);
    // What PFADD has done to damaged registers before it meets the damage stays, as in the original, and nothing is written down.
    if (both.reply.includes('INVALIDOBJ')) both.restart();
    if (i % 20 === 0 || /FLUSH|SWAP|SELECT/i.test(args[0]!))
      expect(both.same, `after ${JSON.stringify(args)}`).toBe(true);
  }
  expect(both.lost).toBe(0);
  verifyCore(both.copy.core);
});

it('gives the same data where memory runs out, or says that it does not', { timeout: 60_000 * testScale }, () => {
  const random = seededRandom('effects without memory');
  const both = new Copied();
  const { lab } = both;
  const commands = new AllCommands(createRandom(random.nextU32()));
  const alloc = lab.allocator.alloc.bind(lab.allocator);
  let oneIn = 0;
  lab.allocator.alloc = (bytes: number) => (oneIn > 0 && random.nextBelow(oneIn) === 0 ? 0 : alloc(bytes));
  const silent: string[] = [];
  for (let i = 0; i < COMMANDS; i++) {
    const { args } = commands.next();
    // A client that cannot be given its argument is disconnected.
    if (args.some((arg) => arg.length > 10_000) || /^multi$/i.test(args[0]!) || growsInSilence(args)) continue;
    oneIn = i % 3 === 0 ? 1 + random.nextBelow(30) : 0;
    both.full = oneIn > 0 && random.nextBelow(20) === 0;
    const lost = both.run(args);
    oneIn = 0;
    both.full = false;
    if (lost) both.restart();
    else if (both.reply.includes('INVALIDOBJ')) both.restart();
    else if (!both.same) {
      silent.push(args.join(' ').slice(0, 200));
      both.restart();
    }
  }
  expect(silent, 'changed without a word').toEqual([]);
  expect(both.lost).toBeGreaterThan(0);
  verifyCore(lab.core);
});
