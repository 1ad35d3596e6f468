/** Log lines in the original's format: "PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL text". */
import type { LogFile } from './log-file.ts';

export type LogLevelName = 'debug' | 'verbose' | 'notice' | 'warning';

const levelNames: readonly LogLevelName[] = ['debug', 'verbose', 'notice', 'warning'];
const levelMarks = '.-*#';
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** A line longer than this is cut, as the original's buffer does. */
const MAX_TEXT = 1024;

const two = (n: number): string => String(n).padStart(2, '0');

/** Local time as "23 Nov 2026 10:00:00.000". */
export function logTime(date: Date): string {
  const day = `${two(date.getDate())} ${months[date.getMonth()]} ${date.getFullYear()}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

export class RedisLog {
  /** C while starting, M as a server. */
  role: 'C' | 'M' = 'C';
  level: LogLevelName = 'notice';
  private readonly file: LogFile;

  constructor(file: LogFile) {
    this.file = file;
  }

  /** @param level 0 debug to 3 warning */
  write(level: number, text: string): void {
    if (level < levelNames.indexOf(this.level)) return;
    const line = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
    this.file.write(`${process.pid}:${this.role} ${logTime(new Date())} ${levelMarks[level]} ${line}\n`);
  }

  /** Text without time and mark, as it stands. */
  writeRaw(level: number, text: string): void {
    if (level >= levelNames.indexOf(this.level)) this.file.write(text);
  }

  /** The form of lines that a signal handler writes. */
  writeFromSignal(text: string): void {
    this.file.write(`${process.pid}:signal-handler (${Math.floor(Date.now() / 1000)}) ${text}\n`);
  }
}
