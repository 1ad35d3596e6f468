import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { builtInNames, findScenario, loadScenario, schemaPath, templateText } from '../../scenarios/load.ts';
import { plannedSeconds, readScenario, scenarioJsonSchema } from '../../scenarios/schema.ts';

describe('what ships with the program', () => {
  it('has the five scenarios, the quick one first, each with a title and a question', () => {
    expect(builtInNames()).toEqual(['quickstart', 'hit-ratio', 'persistence', 'pubsub-fanout', 'value-size']);
    for (const name of builtInNames()) {
      const plan = loadScenario(name);
      expect(plan.name).toBe(name);
      expect(plan.question.length).toBeGreaterThan(20);
      expect(plan.cells[0].scenario.targets).toHaveLength(name === 'persistence' ? 2 : 4);
    }
  });

  it('keeps quickstart below 40 s of measuring and the others below ten minutes, for all of their targets', () => {
    for (const name of builtInNames()) {
      const plan = loadScenario(name);
      expect(plannedSeconds(plan, plan.cells[0].scenario.targets.length)).toBeLessThan(
        name === 'quickstart' ? 40 : 600,
      );
    }
  });

  it('has a template that is a valid scenario and names every field of one', () => {
    const text = templateText();
    const plan = readScenario(text, 'template.yaml');
    expect(plan.cells).toHaveLength(1);
    const properties = scenarioJsonSchema()['properties'] as Record<string, unknown>;
    for (const field of Object.keys(properties)) {
      if (!['name', 'kind', 'fanout'].includes(field)) expect(text, field).toMatch(new RegExp(`^(# )?${field}:`, 'm'));
    }
  });

  it('has a JSON Schema that is up to date (npx cachelab schema > scenarios/scenario.schema.json)', () => {
    expect(JSON.parse(readFileSync(schemaPath(), 'utf8'))).toEqual(scenarioJsonSchema());
  });

  it('describes every field to editors', () => {
    const properties = scenarioJsonSchema()['properties'] as Record<string, Record<string, unknown>>;
    expect(properties['dataset']).toHaveProperty('properties');
    expect(JSON.stringify(properties['popularity'])).toContain('zipf 0.99');
  });

  it('names the known scenarios when one is not found', () => {
    expect(() => findScenario('quikstart')).toThrow(/did you mean "quickstart"/);
    expect(() => findScenario('nothing-like-it')).toThrow(
      /quickstart, hit-ratio, persistence, pubsub-fanout, value-size/,
    );
    expect(() => findScenario('./nowhere.yaml')).toThrow(/there is no such file; built-in scenarios are quickstart/);
    expect(() => findScenario('/')).toThrow(/is no file/);
  });
});
