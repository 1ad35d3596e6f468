/**
 * Starts server processes and answers for their end: whatever happens to the harness (normal end, Ctrl-C, an exception,
 * `kill -9`), none of them and none of their files is left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../engines/base/entry.ts';
import { killExactly, processStartTime } from './process-identity.ts';
import { TargetError } from './target.ts';

/** A server has so long to end after SIGTERM before it is killed. */
const STOP_GRACE_MS = 3_000;
/** So much of a server's log is quoted in an error. */
const LOG_TAIL_LINES = 3;
const LOG_LINE_CHARS = 160;

/** A process that the keeper started. */
export interface KeptProcess {
  readonly pid: number;
  readonly commandLine: string[];
  /** Where its standard output and error go. */
  readonly logPath: string;
  /** null while it runs; otherwise a sentence that says how it ended. */
  died(): string | null;
  /** Last lines of its log in one line. */
  logTail(): string;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** SIGTERM, then SIGKILL; resolves when it is gone. Safe to call twice. */
  stop(): Promise<void>;
  /** SIGKILL at once; resolves when it is gone. */
  kill(): Promise<void>;
}

interface Kept extends KeptProcess {
  startTime: string | null;
}

export class ServerKeeper {
  /** Folder for sockets, logs and data of the servers; removed at the end. */
  readonly folder: string;
  private readonly watchdog: ChildProcess;
  private readonly running = new Set<Kept>();
  private readonly onExit = (): void => this.killAll();
  private closed: Promise<void> | null = null;
  private count = 0;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'cachelab-'));
    this.watchdog = spawn(process.execPath, [fileURLToPath(entryUrl(import.meta.url, './watchdog.ts'))], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    // The harness must be able to end (and so to break the pipe) while the watchdog still runs.
    this.watchdog.unref();
    this.watchdog.on('error', () => {});
    this.watchdog.stdin?.on('error', () => {});
    this.tell({ folder: this.folder });
    process.on('exit', this.onExit);
  }

  private tell(message: Record<string, unknown>): void {
    this.watchdog.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** A fresh path in the keeper's folder. */
  path(name: string): string {
    return join(this.folder, `${++this.count}-${name}`);
  }

  /**
   * @param command the program and its arguments
   * @param cwd where it runs
   * @param stopGraceMs how long `stop` waits after SIGTERM before it kills
   * @throws TargetError when it cannot be started at all
   */
  async spawn(
    command: readonly string[],
    cwd: string = this.folder,
    stopGraceMs: number = STOP_GRACE_MS,
  ): Promise<KeptProcess> {
    if (this.closed) throw new TargetError('Cannot start a server: the run has been stopped');
    const [program, ...args] = command as [string, ...string[]];
    const logPath = this.path('server.log');
    const log = openSync(logPath, 'a');
    // A session of its own: Ctrl-C in the terminal reaches the harness only, which then stops the server in order.
    const child = spawn(program, args, { stdio: ['ignore', log, log], cwd, detached: true });
    closeSync(log);
    if (child.pid !== undefined) this.tell({ watch: child.pid, startTime: processStartTime(child.pid) });
    let end: string | null = null;
    const ended = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        end ??= `could not be started: ${error.message}`;
        resolve();
      });
      child.once('exit', (code, signal) => {
        end ??= signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
        resolve();
      });
    });
    if (child.pid === undefined) {
      await ended;
      throw new TargetError(`Cannot start ${program}: it ${end}`);
    }
    const { pid } = child;
    const kept: Kept = {
      pid,
      commandLine: [...command],
      logPath,
      startTime: processStartTime(pid),
      ended,
      died: () => end,
      logTail: () => readTail(logPath),
      stop: async () => {
        if (end === null) {
          child.kill('SIGTERM');
          const hard = setTimeout(() => child.kill('SIGKILL'), stopGraceMs);
          await ended;
          clearTimeout(hard);
        }
        this.running.delete(kept);
        this.tell({ forget: pid });
      },
      kill: async () => {
        if (end === null) child.kill('SIGKILL');
        await kept.stop();
      },
    };
    this.running.add(kept);
    return kept;
  }

  /** Kills at once what still runs; for `exit` handlers, which cannot wait. */
  private killAll(): void {
    for (const kept of this.running) killExactly(kept.pid, kept.startTime, 'SIGKILL');
    this.running.clear();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Stops every server, removes the folder and lets the watchdog go. Safe to call twice. */
  close(): Promise<void> {
    this.closed ??= (async () => {
      await Promise.all([...this.running].map((kept) => kept.stop()));
      rmSync(this.folder, { recursive: true, force: true });
      process.off('exit', this.onExit);
      this.tell({ done: this.folder });
      this.watchdog.stdin?.end();
    })();
    return this.closed;
  }
}

function readTail(path: string): string {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    const told = lines.map((line) => line.trim()).filter((line) => line !== '');
    const short = (line: string): string => (line.length > LOG_LINE_CHARS ? `${line.slice(0, LOG_LINE_CHARS)}…` : line);
    return told.slice(-LOG_TAIL_LINES).map(short).join(' | ');
  } catch {
    return '';
  }
}
