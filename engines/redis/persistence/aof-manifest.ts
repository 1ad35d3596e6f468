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

  /** Adds the next base file; the one before becomes history. @param suffix ".rdb" or ".aof" */
  addBase(prefix: string, suffix: string): AofFile {
    if (this.base !== null) this.history.push({ ...this.base, type: 'h' });
    this.baseSeq++;
    this.base = { name: `${prefix}.${this.baseSeq}.base${suffix}`, seq: this.baseSeq, type: 'b' };
    return this.base;
  }

  /** Adds the next increment. */
  addIncrement(prefix: string): AofFile {
    this.incrementSeq++;
    const file: AofFile = { name: `${prefix}.${this.incrementSeq}.incr.aof`, seq: this.incrementSeq, type: 'i' };
    this.increments.push(file);
    return file;
  }

  /** All increments but the last one become history, the last one too if `all`: a rewrite holds what they held. */
  retireIncrements(all = false): void {
    const last = all ? undefined : this.increments.pop();
    for (const file of this.increments) this.history.push({ ...file, type: 'h' });
    this.increments.length = 0;
    if (last !== undefined) this.increments.push(last);
  }

  /** Files with the next numbers are not needed after all. Their numbers are not given again before they are removed. */
  giveUp(files: readonly AofFile[]): void {
    for (const file of files) {
      if (file.type === 'b') this.baseSeq = file.seq;
      else this.incrementSeq = file.seq;
      this.history.push({ ...file, type: 'h' });
    }
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
    let baseSeqMax = 0;
    let incrementSeqMax = 0;
    for (const line of text.slice(0, -1).split('\n')) {
      // The original's lines end at a NUL, and then it misses the end of the line.
      if (line.length > LINE_BYTES_MAX || line.includes('\0'))
        throw new ManifestError('The AOF manifest file contains too long line');
      if (line.startsWith('#')) continue;
      const file = parseLine(line);
      if (file.type === 'b') {
        if (manifest.base !== null) throw new ManifestError('Found duplicate base file information');
        manifest.base = file;
        baseSeqMax = Math.max(baseSeqMax, file.seq);
      } else if (file.type === 'h') {
        manifest.history.push(file);
        // Their names must not be given again as long as they are to be removed.
        if (file.name.includes('.base.')) baseSeqMax = Math.max(baseSeqMax, file.seq);
        else incrementSeqMax = Math.max(incrementSeqMax, file.seq);
      } else {
        if (file.seq <= lastSeq) throw new ManifestError('Found a non-monotonic sequence number');
        lastSeq = file.seq;
        manifest.increments.push(file);
        incrementSeqMax = Math.max(incrementSeqMax, file.seq);
      }
    }
    manifest.baseSeq = baseSeqMax;
    manifest.incrementSeq = incrementSeqMax;
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
  if (name === '' || !(seq > 0) || type === '') throw bad();
  if (type !== 'b' && type !== 'i' && type !== 'h') throw new ManifestError('Unknown AOF file type');
  return { name, seq, type };
}

/** A name as it stands in the manifest: in quotes where it could not be read back otherwise. */
function printable(name: string): string {
  return /^[!#-&(-[\]-~]+$/.test(name) ? name : quoteWord(name);
}
