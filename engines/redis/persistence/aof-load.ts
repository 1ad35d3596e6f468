/** Loads append-only files: the base, then every increment, by doing again what they say. */
import type { Disk } from '../../ports.ts';
import { CLIENT_DENY_BLOCKING, CLIENT_MULTI, Client } from '../client.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { discardTransaction, QueuedCommands } from '../transactions.ts';
import type { AofManifest } from './aof-manifest.ts';
import { delayAfterKey, type LoadSteps } from './load-progress.ts';
import { loadRdb } from './rdb-load.ts';
import { RdbFileSource } from './rdb-source.ts';

/** Files that cannot be loaded; the message says what is wrong and what to do. */
export class AofLoadError extends Error {}

/** A header line ("*3", "$12") is no longer than this. */
const LINE_BYTES_MAX = 128;
const ARGUMENTS_MAX = 1024 * 1024;
/** Others are served after so many commands. */
const COMMANDS_PER_STEP = 1024;

/** Why reading a request stopped. */
type Stop = 'end' | 'short' | 'format';

/** Reads the requests of a file into a client's arguments. */
class RequestReader {
  private readonly core: RedisCore;
  private readonly source: RdbFileSource;
  private readonly c: Client;
  private block = 0;
  private room = 0;

  constructor(core: RedisCore, source: RdbFileSource, c: Client) {
    this.core = core;
    this.source = source;
    this.c = c;
  }

  /** A line without its CRLF, null at the end of the file. */
  private line(): string | null {
    const r = this.source.reader;
    let text = '';
    while (text.length < LINE_BYTES_MAX) {
      const byte = r.readByte();
      if (r.failed) return null;
      if (byte === 10) return text.endsWith('\r') ? text.slice(0, -1) : text;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  private makeRoom(used: number, bytes: number): void {
    if (used + bytes <= this.room) return;
    const h = this.core.heap;
    const room = Math.max(4_096, used + bytes, this.room * 2);
    const moved = h.alloc(room);
    if (this.block !== 0) {
      h.copy(this.block, moved, used);
      h.free(this.block);
      for (let i = 0; i < this.c.argc; i++) this.c.argOff[i] += moved - this.block;
    }
    this.block = moved;
    this.room = room;
  }

  /** Reads the next request; marks of time are passed over. @returns why there is none, or null */
  next(): Stop | null {
    const { c } = this;
    const r = this.source.reader;
    c.argc = 0;
    let head: string | null;
    do {
      if (this.source.position === this.source.size) return 'end';
      head = this.line();
      if (head === null) return 'short';
    } while (head.startsWith('#'));
    if (head[0] !== '*') return 'format';
    const argc = Number.parseInt(head.slice(1), 10);
    if (!(argc >= 1) || argc > ARGUMENTS_MAX) return 'format';
    if (c.argOff.length < argc) c.growArguments(argc);
    let used = 0;
    for (let i = 0; i < argc; i++) {
      const line = this.line();
      if (line === null) return 'short';
      const length = line[0] === '$' ? Number.parseInt(line.slice(1), 10) : Number.NaN;
      if (!(length >= 0)) return 'format';
      const at = r.readRaw(length + 2);
      if (at === 0) return 'short';
      this.makeRoom(used, length + 2);
      this.core.heap.copy(at, this.block + used, length);
      c.argOff[i] = this.block + used;
      c.argLen[i] = length;
      c.argc = i + 1;
      used += length;
    }
    return null;
  }

  release(): void {
    if (this.block !== 0) this.core.heap.free(this.block);
    this.block = 0;
  }
}

function formatError(name: string, position: number): AofLoadError {
  return new AofLoadError(
    `Bad file format reading the append only file ${name} near byte ${position}: make a backup of your AOF file, then use ` +
      'redis-check-aof --fix <filename.manifest>',
  );
}

function runRequest(core: RedisCore, c: Client, name: string): void {
  const u8 = core.heap.u8;
  let command = core.commands.find(u8, c.argOff[0], c.argLen[0]);
  const subcommands = command?.subcommands ?? null;
  if (subcommands !== null && c.argc > 1) command = subcommands.find(u8, c.argOff[1], c.argLen[1]);
  if (command === null) {
    throw new AofLoadError(`Unknown command '${c.argText(0)}' reading the append only file ${name}`);
  }
  c.command = command;
  if ((c.flags & CLIENT_MULTI) !== 0 && command.name !== 'exec') {
    c.queued ??= new QueuedCommands(core.heap);
    c.queued.push(c, command);
  } else {
    command.proc(core, c);
  }
}

/**
 * @param last what breaks off at its end is cut off there if `aof-load-truncated` is on; other parts must be whole
 * @throws AofLoadError, RdbLoadError
 */
function* loadFile(core: RedisCore, path: string, name: string, last: boolean): LoadSteps<void> {
  const disk = core.disk!;
  if (!disk.exists(path)) {
    throw new AofLoadError(
      `Fatal error: can't open the append log file ${name} for reading: No such file or directory`,
    );
  }
  const file = disk.open(path, 'read');
  const source = new RdbFileSource(core.heap, disk, file);
  const c = new Client(core, -1, -1, 0, core.dbs[0]!);
  c.authenticated = true;
  c.flags |= CLIENT_DENY_BLOCKING;
  const requests = new RequestReader(core, source, c);
  /** Where the last whole request, or transaction, ends. */
  let whole = 0;
  try {
    if (source.size === 0) return;
    if (isRdb(source)) {
      core.log(LOG_NOTICE, 'Reading RDB base file on AOF loading...');
      yield* loadRdb(core, source, core.persistence.loadLibrary);
      whole = source.position;
    }
    for (let commands = 0; ; commands++) {
      if (commands % COMMANDS_PER_STEP === 0) {
        core.persistence.progress.at(source.position);
        yield;
      }
      core.refreshTime();
      const stop = requests.next();
      if (stop === 'format') throw formatError(name, source.position);
      const open = (c.flags & CLIENT_MULTI) !== 0;
      if (stop === 'end' && !open) return;
      if (stop !== null) {
        if (open) core.log(LOG_WARNING, 'Revert incomplete MULTI/EXEC transaction from AOF file');
        cutOff(core, path, name, whole, source.size, last);
        return;
      }
      runRequest(core, c, name);
      if ((c.flags & CLIENT_MULTI) === 0) whole = source.position;
      if (core.config.keyLoadDelay !== 0) delayAfterKey(core);
    }
  } finally {
    core.persistence.progress.fileEnded(source.size);
    discardTransaction(core, c);
    requests.release();
    source.release();
    disk.close(file);
  }
}

/** Whether the file begins with the signature of an RDB file. */
function isRdb(source: RdbFileSource): boolean {
  const r = source.reader;
  if (source.size < 5) return false;
  const at = r.readRaw(5);
  const is = r.heap.latin1(at, 5) === 'REDIS';
  r.at -= 5;
  return is;
}

function sizeOf(disk: Disk, path: string): number {
  const file = disk.open(path, 'read');
  try {
    return disk.size(file);
  } finally {
    disk.close(file);
  }
}

function cutOff(core: RedisCore, path: string, name: string, whole: number, size: number, last: boolean): void {
  if (!last) throw new AofLoadError(`Fatal error: the truncated file ${name} is not the last file`);
  if (!core.config.aofLoadTruncated) {
    throw new AofLoadError(
      `Unexpected end of file reading the append only file ${name}. You can: 1) Make a backup of your AOF file, then use ` +
        "redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes " +
        'and restart the server.',
    );
  }
  core.log(LOG_WARNING, `!!! Warning: short read while loading the AOF file ${name}!!!`);
  core.log(LOG_WARNING, `AOF ${name} loaded anyway because aof-load-truncated is enabled`);
  core.log(LOG_WARNING, `Truncating the AOF ${name} at offset ${whole} of ${size}`);
  const file = core.disk!.open(path, 'append');
  try {
    core.disk!.truncate(file, whole);
    // Another part may follow it soon, which would make a broken end that comes back with a cut of the power fatal.
    core.disk!.sync(file);
  } finally {
    core.disk!.close(file);
  }
}

/**
 * Whether a part is the last one with something in it. The original asks for the last part; but one that breaks off and is followed by
 * an empty one is what a rewrite leaves that could not begin because the disk failed between the manifest and its folder.
 */
function nothingFollows(disk: Disk, paths: readonly string[]): boolean {
  return paths.every((path) => disk.exists(path) && sizeOf(disk, path) === 0);
}

/**
 * Loads every part. What the increments change counts as changed since the last save, as an RDB file does not have it.
 * @throws AofLoadError, RdbLoadError, what the disk throws, or ARENA_EXHAUSTED
 */
export function* loadAppendOnlyFiles(
  core: RedisCore,
  manifest: AofManifest,
  pathOf: (name: string) => string,
): LoadSteps<void> {
  const disk = core.disk!;
  const parts = [...(manifest.base === null ? [] : [manifest.base]), ...manifest.increments];
  let bytes = 0;
  for (const { name } of parts) if (disk.exists(pathOf(name))) bytes += sizeOf(disk, pathOf(name));
  core.persistence.beginLoading(bytes);
  try {
    for (let i = 0; i < parts.length; i++) {
      const { name, type } = parts[i]!;
      const startUs = core.clock.monoUs();
      const later = parts.slice(i + 1).map((part) => pathOf(part.name));
      yield* loadFile(core, pathOf(name), name, nothingFollows(disk, later));
      if (sizeOf(disk, pathOf(name)) === 0) continue;
      const seconds = ((core.clock.monoUs() - startUs) / 1e6).toFixed(3);
      core.log(LOG_NOTICE, `DB loaded from ${type === 'b' ? 'base' : 'incr'} file ${name}: ${seconds} seconds`);
    }
  } finally {
    core.persistence.loading = false;
  }
}
