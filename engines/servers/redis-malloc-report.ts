/** The text of MEMORY MALLOC-STATS: the allocator's own figures, in jemalloc's words where they mean the same. */
import type { Jemalloc } from '../memory/jemalloc.ts';

const cell = (value: number | string, width: number): string => String(value).padStart(width);

/** @returns a report of several lines */
export function allocatorReport(allocator: Jemalloc): string {
  const s = allocator.stats();
  const lines = [
    '___ Begin allocator statistics ___',
    `Size classes: ${allocator.table.name}`,
    `Allocated: ${s.allocated}, active: ${s.active}, metadata: ${s.metadata}, resident: ${s.resident}, mapped: ${s.mapped}, ` +
      `retained: ${s.retained}`,
    `Dirty: ${s.dirty}, cached: ${s.cached}, purged in all: ${s.purged}`,
    'bins:       size   regs  pages    curregs   curslabs    nonfull    util     nmalloc     ndalloc',
  ];
  for (const bin of allocator.bins()) {
    if (bin.nmalloc === 0) continue;
    lines.push(
      `       ${cell(bin.size, 9)} ${cell(bin.regs, 6)} ${cell(bin.pages, 6)} ${cell(bin.curregs, 10)} ${cell(bin.curslabs, 10)} ` +
        `${cell(bin.nonfull, 10)} ${cell(bin.util.toFixed(3), 7)} ${cell(bin.nmalloc, 11)} ${cell(bin.ndalloc, 11)}`,
    );
  }
  lines.push('large:      size curlextents     nmalloc     ndalloc');
  for (const large of allocator.larges()) {
    if (large.nmalloc === 0) continue;
    lines.push(
      `       ${cell(large.size, 9)} ${cell(large.curlextents, 11)} ${cell(large.nmalloc, 11)} ${cell(large.ndalloc, 11)}`,
    );
  }
  lines.push('--- End allocator statistics ---', '');
  return lines.join('\n');
}
