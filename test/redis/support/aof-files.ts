/** Reads append-only files in parts, as either server writes them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface AofPart {
  readonly name: string;
  readonly seq: number;
  readonly type: string;
}

/** The parts that a manifest names, in its order. @param folder the one with the manifest */
export function readManifest(folder: string): AofPart[] {
  const name = readdirSync(folder).find((one) => one.endsWith('.manifest'));
  if (name === undefined) throw new Error(`Cannot read the append-only file: there is no manifest in ${folder}`);
  return readFileSync(join(folder, name), 'latin1')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, file, , seq, , type] = line.split(' ');
      return { name: file!, seq: Number(seq), type: type! };
    });
}

/** The commands of a file; lines that begin with "#" come as single words. */
export function parseCommands(bytes: Buffer): string[][] {
  const commands: string[][] = [];
  let at = 0;
  const line = (): string => {
    const end = bytes.indexOf('\r\n', at, 'latin1');
    if (end < 0) throw new Error(`Cannot parse an append-only file: it breaks off at byte ${at}`);
    const text = bytes.toString('latin1', at, end);
    at = end + 2;
    return text;
  };
  while (at < bytes.length) {
    const head = line();
    if (head.startsWith('#')) {
      commands.push([head]);
      continue;
    }
    if (!/^\*\d+$/.test(head)) throw new Error(`Cannot parse an append-only file: "${head}" before byte ${at}`);
    const args: string[] = [];
    for (let i = Number(head.slice(1)); i > 0; i--) {
      const length = Number(line().slice(1));
      args.push(bytes.toString('latin1', at, at + length));
      at += length + 2;
    }
    commands.push(args);
  }
  return commands;
}

/** All commands of all increments. @param folder the server's data folder */
export function readEffects(folder: string, dirname = 'appendonlydir'): string[][] {
  const at = join(folder, dirname);
  return readManifest(at)
    .filter(({ type }) => type === 'i')
    .flatMap(({ name }) => parseCommands(readFileSync(join(at, name))));
}
