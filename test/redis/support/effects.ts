/** Plays commands on our server and on the original, and compares what both write to their append-only files. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { RespClient } from '../../support/resp-client.ts';
import { readEffects } from './aof-files.ts';
import { startOurs, startReal, type TestServer } from './servers.ts';

/** Sets this key before each step, so that the effects of the steps can be told apart. */
const MARK = 'effects of step';
/** Times in the effects may differ by what passes between the two servers' turns. */
const TOLERANCE_MS = 20_000;
/** Anything from here on that differs a little is a time in ms. */
const TIME_FROM = 1_500_000_000_000;

const show = (args: readonly string[]): string =>
  JSON.stringify(args.map((one) => (one.length > 80 ? `${one.slice(0, 80)}…` : one)));

/** What a step has written: the commands behind its mark, up to the next one. */
export function effectsBySteps(commands: readonly string[][]): string[][][] {
  const steps: string[][][] = [];
  for (const command of commands) {
    if (command[0] === 'SET' && command[1] === MARK) steps.push([]);
    else steps.at(-1)?.push(command);
  }
  return steps;
}

/** The command that begins step `i`. */
export function markOf(i: number): string[] {
  return ['SET', MARK, String(i)];
}

function sameArgument(a: string, b: string): boolean {
  if (a === b) return true;
  const [, ms, rest] = /^(\d{13,19})(-\d+)?$/.exec(a) ?? [];
  const [, otherMs, otherRest] = /^(\d{13,19})(-\d+)?$/.exec(b) ?? [];
  if (ms === undefined || otherMs === undefined || rest !== otherRest) return false;
  return Number(ms) > TIME_FROM && Math.abs(Number(BigInt(ms) - BigInt(otherMs))) < TOLERANCE_MS;
}

/** Whether two effects are the same but for times. */
export function sameEffect(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => sameArgument(one, b[i]!));
}

/** @returns what differs, as text to be read; empty: nothing */
export function compareEffects(
  labels: readonly string[],
  mine: readonly string[][][],
  theirs: readonly string[][][],
): string[] {
  const differences: string[] = [];
  labels.forEach((label, i) => {
    // These come upon keys in the order of a hash table.
    const order = (all: string[][] = []) =>
      / (SCAN|RANDOMKEY) /.test(label) ? [...all].sort((x, y) => (show(x) < show(y) ? -1 : 1)) : all;
    const [a, b] = [order(mine[i]), order(theirs[i])];
    if (a.length === b.length && a.every((one, k) => sameEffect(one, b[k]!))) return;
    differences.push(`${label}\n  ours: ${a.map(show).join(' ')}\n  real: ${b.map(show).join(' ')}`);
  });
  return differences;
}

/** Two servers that write append-only files in folders of their own. */
export class EffectsPair {
  private readonly flags: readonly string[];
  private readonly folder = mkdtempSync(join(tmpdir(), 'cachelab-effects-'));
  ours!: TestServer;
  real!: TestServer;

  constructor(flags: readonly string[] = []) {
    this.flags = ['--appendonly', 'yes', '--appendfsync', 'no', '--auto-aof-rewrite-percentage', '0', ...flags];
  }

  get oursFolder(): string {
    return join(this.folder, 'ours');
  }

  get realFolder(): string {
    return join(this.folder, 'real');
  }

  /** @param prepare puts files into a data folder before its server starts */
  async start(prepare: (folder: string) => void = () => {}): Promise<void> {
    for (const one of [this.oursFolder, this.realFolder]) {
      mkdirSync(one, { recursive: true });
      prepare(one);
    }
    [this.ours, this.real] = await Promise.all([
      startOurs(this.flags, this.oursFolder),
      startReal(this.flags, this.realFolder),
    ]);
  }

  effects(): { mine: string[][]; theirs: string[][] } {
    return { mine: readEffects(this.oursFolder), theirs: readEffects(this.realFolder) };
  }

  /**
   * Lets each server start from the other's files, and from its own: their data must be `expected`.
   * @param expected of our server and of the original
   */
  async expectInterchange(expected: { ours: string; real: string }): Promise<void> {
    const from = { ours: this.oursFolder, real: this.realFolder };
    const cases = [
      ['real', 'ours'],
      ['ours', 'real'],
      ['ours', 'ours'],
    ] as const;
    for (const [loader, files] of cases) {
      const copy = mkdtempSync(join(this.folder, 'copy-'));
      cpSync(from[files], copy, { recursive: true });
      const start = loader === 'ours' ? startOurs : startReal;
      const server = await start(this.flags, copy);
      try {
        const found = await digestOf(server);
        expect(found, `the ${loader} server started from files of ${files}`).toBe(expected[files]);
      } finally {
        await server.stop();
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.ours?.stop(), this.real?.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** DEBUG DIGEST. */
export async function digestOf(server: TestServer): Promise<string> {
  const client = await RespClient.connect({ path: server.path });
  try {
    return String(await client.command('DEBUG', 'DIGEST'));
  } finally {
    await client.close();
  }
}
