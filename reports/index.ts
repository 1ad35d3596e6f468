/** What the rest of cachelab uses of the reports. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RESULT_VERSION, type ResultDocument } from '../harness/result.ts';
import { renderHtml } from './html.ts';
import { renderMarkdown } from './markdown.ts';
import { type Picture, renderPngs } from './png.ts';

export { renderHtml } from './html.ts';
export { renderMarkdown } from './markdown.ts';
export { renderPngs } from './png.ts';
export { renderTerminal } from './terminal.ts';

/**
 * Checks that a parsed JSON value is a result document that this version can draw.
 * @param source names the file in messages
 * @throws Error saying what it is instead
 */
export function asResultDocument(value: unknown, source: string): ResultDocument {
  const document = value as Partial<ResultDocument> | null;
  if (typeof document !== 'object' || document === null || document.format !== 'cachelab-result') {
    throw new Error(`Cannot report ${source}: it is no cachelab result (its "format" is not "cachelab-result")`);
  }
  if (document.version !== RESULT_VERSION) {
    throw new Error(
      `Cannot report ${source}: its version is ${String(document.version)}, this cachelab reads version ${RESULT_VERSION}`,
    );
  }
  if (!Array.isArray(document.scenarios) || typeof document.run !== 'object' || typeof document.machine !== 'object') {
    throw new Error(`Cannot report ${source}: "scenarios", "run" or "machine" is missing; the file is damaged`);
  }
  return document as ResultDocument;
}

/**
 * Writes report.md, report.html and, unless `png` is false, the charts below charts/.
 * @returns paths of the files written
 * @throws Error with code ENOSPC, EACCES … from the file system
 */
export function writeReports(result: ResultDocument, folder: string, options: { png: boolean }): string[] {
  mkdirSync(folder, { recursive: true });
  const written: string[] = [];
  const write = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    written.push(path);
  };
  const pictures: Picture[] = options.png ? renderPngs(result) : [];
  if (pictures.length > 0) mkdirSync(join(folder, 'charts'), { recursive: true });
  for (const picture of pictures) write(join('charts', picture.name), picture.bytes);
  write(
    'report.md',
    renderMarkdown(result, new Map(pictures.map((picture) => [picture.chart, `charts/${picture.name}`]))),
  );
  write('report.html', renderHtml(result));
  return written;
}
