/**
 * The manifest of an append-only file in parts: which base file there is, and which increments follow it, in order. One line a file:
 * `file NAME seq NUMBER type b|i|h`. History files (h) are those that a rewrite has made needless and that wait to be removed.
 */
import { quoteWord, splitWords } from '../config-words.ts';

export type AofFileType = 'b' | 'i' | 'h';

export interface AofFile {
  readonly name: string;
  readonly seq: number;
  readonly type: AofFileType;
}

/** A manifest that cannot be used; the message says why. */
export class ManifestError extends Error {}

/** With the end of the line. */
const LINE_BYTES_MAX = 1_024;

export class AofManifest {
  base: AofFile | null = null;
  readonly increments: AofFile[] = [];
  readonly history: AofFile[] = [];
  baseSeq = 0;
  incrementSeq = 0;

  clone(): AofManifest {
    const copy = new AofManifest();
    copy.base = this.base;
    copy.increments.push(...this.increments);
    copy.history.push(...this.history);
    copy.baseSeq = this.baseSeq;
    copy.incrementSeq = this.incrementSeq;
    return copy;
  }

  /** Neither a base nor an increment. */
  get isEmpty(): boolean {
    return this.base === null && this.increments.length === 0;
  }

  /** A name that is to be removed must not be given again before that: the file would go with it. */
  private isHistory(name: string): boolean {
    return this.history.some((file) => file.name === name);
  }

  /** Adds the next base file; the one before becomes history. @param suffix ".rdb" or ".aof" */
  addBase(prefix: string, suffix: string): AofFile {
    if (this.base !== null) this.history.unshift({ ...this.base, type: 'h' });
    let name: string;
    do {
      this.baseSeq++;
      name = `${prefix}.${this.baseSeq}.base${suffix}`;
    } while (this.isHistory(name));
    this.base = { name, seq: this.baseSeq, type: 'b' };
    return this.base;
  }

  /** Adds the next increment. */
  addIncrement(prefix: string): AofFile {
    let name: string;
    do {
      this.incrementSeq++;
      name = `${prefix}.${this.incrementSeq}.incr.aof`;
    } while (this.isHistory(name));
    const file: AofFile = { name, seq: this.incrementSeq, type: 'i' };
    this.increments.push(file);
    return file;
  }

  /** All increments but the last one become history, the last one too if `all`: a rewrite holds what they held. */
  retireIncrements(all = false): void {
    const last = all ? undefined : this.increments.pop();
    this.history.unshift(...this.increments.map((file) => ({ ...file, type: 'h' as const })));
    this.increments.length = 0;
    if (last !== undefined) this.increments.push(last);
  }

  /** Files are not needed after all: they go with the history. */
  giveUp(files: readonly AofFile[]): void {
    this.history.unshift(...files.map((file) => ({ ...file, type: 'h' as const })));
  }

  /** The file's text. */
  toString(): string {
    const files = [...(this.base === null ? [] : [this.base]), ...this.history, ...this.increments];
    return files.map(({ name, seq, type }) => `file ${printable(name)} seq ${seq} type ${type}\n`).join('');
  }

  /** @throws ManifestError */
  static parse(text: string): AofManifest {
    const manifest = new AofManifest();
    if (text === '') throw new ManifestError('Found an empty AOF manifest');
    if (!text.endsWith('\n')) throw new ManifestError('The AOF manifest file contains too long line');
    let lastSeq = 0;
    for (const line of text.slice(0, -1).split('\n')) {
      // The original's lines end at a NUL, and then it misses the end of the line.
      if (line.length >= LINE_BYTES_MAX || line.includes('\0'))
        throw new ManifestError('The AOF manifest file contains too long line');
      if (line.startsWith('#')) continue;
      const file = parseLine(line);
      if (file.type === 'b') {
        if (manifest.base !== null) throw new ManifestError('Found duplicate base file information');
        manifest.base = file;
        manifest.baseSeq = file.seq;
      } else if (file.type === 'h') {
        manifest.history.push(file);
      } else {
        if (file.seq <= lastSeq) throw new ManifestError('Found a non-monotonic sequence number');
        lastSeq = file.seq;
        manifest.increments.push(file);
        manifest.incrementSeq = file.seq;
      }
    }
    return manifest;
  }
}

function parseLine(line: string): AofFile {
  const words = splitWords(line);
  const bad = () => new ManifestError('Invalid AOF manifest file format');
  if (words === null || words.length < 6 || words.length % 2 !== 0) throw bad();
  let name = '';
  let seq = 0;
  let type = '';
  for (let i = 0; i < words.length; i += 2) {
    const value = words[i + 1]!;
    const key = words[i]!.toLowerCase();
    if (key === 'file') {
      name = value;
      if (name.includes('/')) throw new ManifestError("File can't be a path, just a filename");
    } else if (key === 'seq') seq = Number.parseInt(value, 10);
    else if (key === 'type') type = value[0] ?? '';
  }
  if (name === '' || !(seq > 0) || !Number.isSafeInteger(seq + 1) || type === '') throw bad();
  if (type !== 'b' && type !== 'i' && type !== 'h') throw new ManifestError('Unknown AOF file type');
  return { name, seq, type };
}

/** A name as it stands in the manifest: in quotes where it could not be read back otherwise. */
function printable(name: string): string {
  return /^[!#-&(-[\]-~]+$/.test(name) ? name : quoteWord(name);
}
