/** `cachelab report result.json`: draws every report again from the stored result. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { ResultDocument } from '../result.ts';
import { UsageError } from './exit-codes.ts';
import { reports } from './rooms.ts';

const FORMATS = ['terminal', 'markdown', 'html', 'png', 'all'] as const;

interface ReportArguments {
  result: string;
  format: (typeof FORMATS)[number];
  out?: string;
  color?: boolean;
}

/**
 * @param path a result.json or the folder that holds one
 * @throws UsageError that names the file and what is wrong with it
 */
export async function readResult(path: string): Promise<{ document: ResultDocument; folder: string }> {
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'result.json') : path;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`Cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
  const { asResultDocument } = await reports();
  let document: ResultDocument;
  try {
    document = asResultDocument(JSON.parse(text), file);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(error instanceof SyntaxError ? `Cannot read ${file}: it is no JSON (${message})` : message);
  }
  return { document, folder: dirname(resolve(file)) };
}

export const reportCommand: CommandModule<object, ReportArguments> = {
  command: 'report <result>',
  describe: 'Draw the reports of a stored result again',
  builder: (y) =>
    y
      .positional('result', {
        type: 'string',
        demandOption: true,
        describe: 'result.json, or the folder that holds it',
      })
      .option('format', { choices: FORMATS, default: 'terminal', describe: 'which report; all writes every file' })
      .option('out', {
        type: 'string',
        describe:
          'file or folder to write to (a folder for png and all); otherwise standard output, or beside the result',
      })
      .option('color', {
        type: 'boolean',
        describe: 'colours in the terminal table (default: on a terminal)',
      }) as never,
  handler: async (args) => {
    const { document, folder } = await readResult(args.result);
    const draw = await reports();
    try {
      writeReport(document, folder, args, draw);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw new UsageError(`Cannot write the report to ${args.out ?? folder}: ${(error as Error).message}`);
    }
  },
};

const FILE_NAMES = { terminal: 'report.txt', markdown: 'report.md', html: 'report.html' } as const;

/** @throws the file system's errors, with their `code` */
function writeReport(
  document: ResultDocument,
  folder: string,
  args: ReportArguments,
  draw: Awaited<ReturnType<typeof reports>>,
): void {
  const { format } = args;
  if (format === 'all' || format === 'png') {
    const target = args.out ?? folder;
    mkdirSync(target, { recursive: true });
    if (format === 'all') {
      for (const file of draw.writeReports(document, target, { png: true })) process.stdout.write(`${file}\n`);
      return;
    }
    for (const { name, bytes } of draw.renderPngs(document)) {
      writeFileSync(join(target, name), bytes);
      process.stdout.write(`${join(target, name)}\n`);
    }
    return;
  }
  const toTerminal = args.out === undefined && process.stdout.isTTY === true;
  const text =
    format === 'terminal'
      ? draw.renderTerminal(document, { color: args.color ?? toTerminal, width: process.stdout.columns ?? 120 })
      : format === 'markdown'
        ? draw.renderMarkdown(document)
        : draw.renderHtml(document);
  if (args.out === undefined) {
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    return;
  }
  const isFolder = existsSync(args.out) && statSync(args.out).isDirectory();
  const file = isFolder ? join(args.out, FILE_NAMES[format]) : args.out;
  writeFileSync(file, text);
  process.stdout.write(`${file}\n`);
}
