/** The order of SORT. */
import type { SortElement } from './sort-elements.ts';

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What C sees of a text. */
function beforeNul(text: string): string {
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

/** As the C library compares in the locale "C": what is behind a NUL does not count. */
const compareCollated = (a: string, b: string): number => compareTexts(beforeNul(a), beforeNul(b));

type Compare = (a: SortElement, b: SortElement) => number;

function comparison(descending: boolean, alpha: boolean, byPattern: boolean, stored: boolean): Compare {
  // A stored result must not depend on the locale, so bytes are compared.
  const texts = stored ? compareTexts : compareCollated;
  let ascending: Compare;
  if (!alpha) {
    // Elements of equal score are ordered by their bytes, so that the result is always the same.
    ascending = (a, b) => (a.score > b.score ? 1 : a.score < b.score ? -1 : compareTexts(a.text, b.text));
  } else if (byPattern) {
    ascending = (a, b) => {
      if (a.weight === null || b.weight === null) return a.weight === b.weight ? 0 : a.weight === null ? -1 : 1;
      return texts(a.weight, b.weight);
    };
  } else {
    ascending = (a, b) => texts(a.text, b.text);
  }
  return descending ? (a, b) => -ascending(a, b) : ascending;
}

/**
 * Sorts so that the elements from `start` to `end` are those that a whole sort would have there. Which of equal elements comes first is
 * only told where everything is wanted: then the first one does.
 */
export function sortPart(
  all: SortElement[],
  descending: boolean,
  alpha: boolean,
  byPattern: boolean,
  stored: boolean,
  start: number,
  end: number,
): void {
  const compare = comparison(descending, alpha, byPattern, stored);
  if (byPattern && (start !== 0 || end !== all.length - 1)) partialSort(all, 0, all.length, compare, start, end);
  else all.sort(compare);
}

/** Up to so many elements are sorted by insertion. */
const FEW = 7;
/** From so many on the pivot is the median of three medians. */
const MANY = 40;

function swap(all: SortElement[], a: number, b: number): void {
  const one = all[a];
  all[a] = all[b];
  all[b] = one;
}

function swapRanges(all: SortElement[], a: number, b: number, count: number): void {
  for (let i = 0; i < count; i++) swap(all, a + i, b + i);
}

function median(all: SortElement[], a: number, b: number, c: number, compare: Compare): number {
  if (compare(all[a], all[b]) < 0) {
    return compare(all[b], all[c]) < 0 ? b : compare(all[a], all[c]) < 0 ? c : a;
  }
  return compare(all[b], all[c]) > 0 ? b : compare(all[a], all[c]) < 0 ? a : c;
}

function insertionSort(all: SortElement[], from: number, count: number, compare: Compare): void {
  for (let i = from + 1; i < from + count; i++) {
    for (let j = i; j > from && compare(all[j - 1], all[j]) > 0; j--) swap(all, j, j - 1);
  }
}

function choosePivot(all: SortElement[], from: number, count: number, compare: Compare): number {
  const middle = from + (count >> 1);
  if (count === FEW) return middle;
  let low = from;
  let centre = middle;
  let high = from + count - 1;
  if (count > MANY) {
    const step = count >> 3;
    low = median(all, low, low + step, low + 2 * step, compare);
    centre = median(all, centre - step, centre, centre + step, compare);
    high = median(all, high - 2 * step, high - step, high, compare);
  }
  return median(all, low, centre, high, compare);
}

/**
 * Quicksort after Bentley and McIlroy ("Engineering a Sort Function", 1993) that leaves out what lies outside of [start, end]. The
 * original uses the same method here, and equal elements end up in the order that it happens to leave them in.
 */
function partialSort(
  all: SortElement[],
  first: number,
  size: number,
  compare: Compare,
  start: number,
  end: number,
): void {
  let from = first;
  let count = size;
  for (;;) {
    if (count < FEW) {
      insertionSort(all, from, count, compare);
      return;
    }
    swap(all, from, choosePivot(all, from, count, compare));
    // Equal ones gather at both ends, the smaller ones left, the larger ones right.
    let a = from + 1;
    let b = a;
    let c = from + count - 1;
    let d = c;
    for (;;) {
      for (let order = 0; b <= c && (order = compare(all[b], all[from])) <= 0; b++) {
        if (order === 0) {
          swap(all, a++, b);
        }
      }
      for (let order = 0; b <= c && (order = compare(all[c], all[from])) >= 0; c--) {
        if (order === 0) {
          swap(all, c, d--);
        }
      }
      if (b > c) break;
      swap(all, b++, c--);
    }
    const behind = from + count;
    const left = Math.min(a - from, b - a);
    swapRanges(all, from, b - left, left);
    const right = Math.min(d - c, behind - d - 1);
    swapRanges(all, b, behind - right, right);
    const smaller = b - a;
    const larger = d - c;
    if (smaller > 1 && !(from + smaller - 1 < start || from > end)) {
      partialSort(all, from, smaller, compare, start, end);
    }
    if (larger <= 1) return;
    from = behind - larger;
    count = larger;
    if (from + count - 1 < start || from > end) return;
  }
}
