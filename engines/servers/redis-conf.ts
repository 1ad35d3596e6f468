/** From a command line to a configuration: the file it names, standard input, and the options behind it. */

import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { systemText } from '../base/system-text.ts';
import { defaultConfig, type RedisConfig } from '../redis/config.ts';
import { type ConfigFileError, createLoadedConfig, type LoadedConfig, loadConfigText } from '../redis/config-file.ts';
import { quoteWord, splitWords } from '../redis/config-words.ts';
import { bytesOfName, nativeName } from './native-names.ts';

/** Options of this program that the original does not have; they may stand anywhere on the command line. */
export interface EngineOptions {
  readonly eventLoop: 'epoll' | 'libuv' | 'auto';
  readonly allocator: 'debian' | 'upstream';
  /** Size of the arena in bytes; null: as much as there can be. */
  readonly arenaBytes: number | null;
  /** Where data files lie; left out: in the working folder. For servers that share their process with others. */
  dataFolder?: string;
}

/** What a command line asks for. */
export interface RedisStart {
  readonly config: RedisConfig;
  readonly loaded: LoadedConfig;
  readonly engine: EngineOptions;
  /** Absolute path of the configuration file; empty: none. */
  readonly configFile: string;
  readonly fromStdin: boolean;
}

/** A configuration file that cannot be opened. */
export class ConfigFileMissing extends Error {
  constructor(path: string, cause: unknown) {
    super(`Fatal error, can't open config file '${path}': ${systemText(cause)}`);
    this.name = 'ConfigFileMissing';
  }
}

/** An option of this program whose value is none. */
export class OptionError extends Error {}

export { systemText };

const eventLoops = ['epoll', 'libuv', 'auto'] as const;
const allocators = ['debian', 'upstream'] as const;

function pick<T extends string>(option: string, value: string | undefined, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw new OptionError(`Cannot use --${option} ${value ?? '(nothing)'}: give one of ${allowed.join(', ')}`);
}

/** Why Debian's build refuses active defragmentation. */
export const NO_DEFRAG =
  'Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like the one shipped by ' +
  'default with the Redis source distribution';

/** Takes this program's own options out of a command line. */
export function splitEngineOptions(argv: readonly string[]): { engine: EngineOptions; rest: string[] } {
  const rest: string[] = [];
  const given = new Map<string, string | undefined>();
  const own = ['event-loop', 'allocator', 'arena-bytes'];
  for (let i = 0; i < argv.length; i++) {
    const [name, value] = splitOption(argv[i]!);
    if (name === null || !own.includes(name)) rest.push(argv[i]!);
    else given.set(name, value ?? argv[++i]);
  }
  const arena = given.get('arena-bytes');
  if (given.has('arena-bytes') && !/^[1-9]\d*$/.test(arena ?? '')) {
    throw new OptionError(`Cannot use --arena-bytes ${arena ?? '(nothing)'}: give a number of bytes`);
  }
  return {
    engine: {
      eventLoop: given.has('event-loop') ? pick('event-loop', given.get('event-loop'), eventLoops) : 'auto',
      allocator: given.has('allocator') ? pick('allocator', given.get('allocator'), allocators) : 'debian',
      arenaBytes: arena === undefined ? null : Number(arena),
    },
    rest,
  };
}

function splitOption(word: string): [name: string | null, value: string | undefined] {
  const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(word);
  return match ? [match[1]!, match[2]] : [null, undefined];
}

const isOption = (word: string | undefined): boolean => word?.startsWith('--') === true;

/**
 * The options behind the file name as lines of configuration, by the original's rules: "--name" begins a line, other words are its
 * values; "--save" without a value means save "".
 */
export function optionLines(words: readonly string[]): { lines: string; fromStdin: boolean } {
  let lines = '';
  let fromStdin = false;
  let lastDone = true;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '-' && i === words.length - 1) {
      fromStdin = true;
    } else if (lastDone && isOption(word)) {
      if (lines !== '') lines += '\n';
      lines += `${word.slice(2)} `;
      const parts = splitWords(word);
      lastDone = parts !== null && parts.length > 1;
      if (!lastDone && word.toLowerCase() === '--save' && (i === words.length - 1 || isOption(words[i + 1]))) {
        lines += '""';
        lastDone = true;
      }
    } else {
      lines += `${quoteWord(word)} `;
      lastDone = true;
    }
  }
  return { lines, fromStdin };
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(nativeName(path), 'latin1');
  } catch (error) {
    throw new ConfigFileMissing(path, error);
  }
}

/** The files that an include names: one path, or those that a pattern with * and ? in its last part matches, in order. */
function includedTexts(path: string): string[] {
  if (!/[*?]/.test(basename(path))) return [readConfigFile(path)];
  const pattern = new RegExp(
    `^${basename(path)
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '.*')
      .replace(/\?/g, '.')}$`,
  );
  const folder = dirname(path);
  return readdirSync(nativeName(folder), 'latin1')
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => readConfigFile(join(folder, name)));
}

function changeFolder(path: string): string | null {
  try {
    process.chdir(nativeName(path));
    return null;
  } catch (error) {
    return systemText(error);
  }
}

/** Standard input to its end. Opened anew it waits for what is to come, however whoever started us has set it up. */
function readStdin(): string {
  let fd: number;
  try {
    fd = openSync('/dev/stdin', 'r');
  } catch {
    // A socket, which a process of Node's gets for a pipe, cannot be opened anew.
    return readSocket(0);
  }
  try {
    return readFileSync(fd, 'latin1');
  } finally {
    closeSync(fd);
  }
}

const READ_BYTES = 65_536;
const RETRY_MS = 5;

function readSocket(fd: number): string {
  const buffer = Buffer.alloc(READ_BYTES);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let text = '';
  for (;;) {
    try {
      const length = readSync(fd, buffer);
      if (length === 0) return text;
      text += buffer.toString('latin1', 0, length);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
}

/**
 * Reads a command line in the original's form: [file] [--option value …] [-].
 * @param argv without program and script
 * @param onStdin is called before standard input is read (the original logs it)
 * @throws ConfigFileError, ConfigFileMissing, OptionError
 */
export function readCommandLine(argv: readonly string[], onStdin: () => void = () => {}): RedisStart {
  const { engine, rest } = splitEngineOptions(argv);
  let configFile = '';
  let options = rest;
  if (rest.length > 0 && !rest[0]!.startsWith('-')) {
    configFile = bytesOfName(resolve(rest[0]!));
    options = rest.slice(1);
  }
  const { lines, fromStdin } = optionLines(options.map(bytesOfName));
  let text = configFile === '' ? '' : readConfigFile(configFile);
  if (fromStdin) {
    onStdin();
    text += readStdin();
  }
  text += `\n${lines}`;
  const config = defaultConfig();
  config.dir = bytesOfName(process.cwd());
  const loaded = createLoadedConfig();
  const check = (directive: string, value: unknown) =>
    directive === 'activedefrag' && value === true && engine.allocator === 'debian' ? NO_DEFRAG : null;
  loadConfigText(config, text, { include: includedTexts, changeFolder, check }, loaded);
  config.dir = bytesOfName(process.cwd());
  return { config, loaded, engine, configFile, fromStdin };
}

/** The text that the original prints before it exits with 1. */
export function configErrorText(error: ConfigFileError): string {
  return (
    '\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n' +
    `Reading the configuration file, at line ${error.lineNumber}\n>>> '${error.line}'\n${error.message}\n`
  );
}
