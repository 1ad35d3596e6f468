import { describe, expect, it } from 'vitest';
import { AutomoveSnapshot, SlabAutomove } from '../../engines/memcached/slab-automove.ts';

const WINDOW = 10;
const RATIO = 0.8;

/** Classes whose figures go on from second to second. */
class World {
  readonly now = new AutomoveSnapshot();
  readonly policy: SlabAutomove;

  constructor() {
    this.now.chunksPerPage.fill(100);
    this.policy = new SlabAutomove(WINDOW, RATIO, this.now);
  }

  /** Sets what a class looks like from now on. */
  set(id: number, figures: { age?: number; pages?: number; freeChunks?: number }): void {
    if (figures.age !== undefined) this.now.ages[id] = figures.age;
    if (figures.pages !== undefined) this.now.pages[id] = figures.pages;
    if (figures.freeChunks !== undefined) this.now.freeChunks[id] = figures.freeChunks;
  }

  /** A second passes, in which classes evict so much. @returns what is decided, "" for nothing */
  second(evictions: Record<number, number> = {}): string {
    for (const [id, count] of Object.entries(evictions)) this.now.evicted[Number(id)]! += count;
    return this.policy.decide(this.now) ? `${this.policy.source}->${this.policy.destination}` : '';
  }

  seconds(count: number, evictions: Record<number, number> = {}): string[] {
    return Array.from({ length: count }, () => this.second(evictions));
  }
}

describe('the automove policy', () => {
  it('takes a page from the class with the oldest tail for the youngest that evicts, once the window is full', () => {
    const world = new World();
    world.set(3, { age: 500, pages: 10 });
    world.set(4, { age: 900, pages: 10 });
    world.set(7, { age: 20, pages: 3 });
    const decisions = world.seconds(WINDOW + 2, { 7: 5 });
    expect(decisions.slice(0, WINDOW)).toEqual(Array(WINDOW).fill(''));
    expect(decisions.slice(WINDOW)).toEqual(['4->7', '4->7']);
  });

  it('leaves classes alone whose ages are alike', () => {
    const world = new World();
    world.set(3, { age: 100, pages: 10 });
    world.set(7, { age: 81, pages: 10 });
    expect(world.seconds(WINDOW * 2, { 3: 1, 7: 5 }).join('')).toBe('');
    world.set(7, { age: 70 });
    expect(world.seconds(WINDOW, { 3: 1, 7: 5 })).toContain('3->7');
  });

  it('takes no page from a class with only two', () => {
    const world = new World();
    world.set(3, { age: 1_000, pages: 2 });
    world.set(4, { age: 400, pages: 3 });
    world.set(7, { age: 10, pages: 5 });
    expect(world.seconds(WINDOW + 1, { 7: 5 }).at(-1)).toBe('4->7');
  });

  it('gives nothing to a class that evicted in less than half of the window and little in all', () => {
    const world = new World();
    world.set(3, { age: 1_000, pages: 9 });
    world.set(6, { age: 990, pages: 2 });
    world.set(7, { age: 10, pages: 5 });
    for (let i = 0; i < WINDOW * 2; i++) {
      expect(world.second(i % 4 === 0 ? { 6: 1_000, 7: 1 } : { 6: 1_000 })).toBe('');
    }
  });

  it('gives a page to a class that evicts seldom but more than a quarter of all', () => {
    const world = new World();
    world.set(3, { age: 1_000, pages: 9 });
    world.set(7, { age: 10, pages: 5 });
    const decisions: string[] = [];
    for (let i = 0; i < WINDOW * 3; i++) decisions.push(world.second(i % 3 === 0 ? { 7: 10 } : {}));
    // Only in a second in which it evicts.
    expect(decisions.filter((_, i) => i % 3 !== 0).join('')).toBe('');
    expect(decisions.slice(WINDOW + 1).filter((decision) => decision === '3->7').length).toBeGreaterThan(4);
  });

  it('returns pages that a class does not need to the pool, at once and one after the other', () => {
    const world = new World();
    world.set(5, { age: 5, pages: 8, freeChunks: 251 });
    expect(world.seconds(WINDOW).join('')).toBe('');
    expect(world.seconds(2)).toEqual(['5->0', '5->0']);
    world.set(5, { pages: 7, freeChunks: 250 });
    expect(world.second()).toBe('');
  });

  it('keeps spare pages of a class that was short within the window', () => {
    const world = new World();
    world.set(5, { age: 5, pages: 8, freeChunks: 700 });
    expect(world.second({ 5: 1 })).toBe('');
    expect(world.seconds(WINDOW - 1)).toEqual(Array(WINDOW - 1).fill(''));
    expect(world.second()).toBe('5->0');
    world.now.outOfMemory[5]!++;
    expect(world.second()).toBe('');
    expect(world.seconds(WINDOW).at(-1)).toBe('5->0');
    world.set(5, { pages: 9 });
    expect(world.second()).toBe('');
  });
});
