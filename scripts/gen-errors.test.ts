import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERROR_CODES } from '../core/model/errors.ts';
import { ERRORS_PAGE, withErrorSections } from './gen-errors.ts';

const page = readFileSync(ERRORS_PAGE, 'utf8');

it('has a section for each error code, and none for a code that is gone', () => {
  const sections = [...page.matchAll(/^### ([a-z-]+)$/gm)].map((match) => match[1]);
  expect(sections.toSorted()).toEqual(Object.keys(ERROR_CODES).toSorted());
});

it('is what the generator writes', () => {
  expect(withErrorSections(page)).toBe(page);
});

it('keeps what stands around the generated part, and refuses a page without markers', () => {
  const [before, after] = [page.split('<!-- errors:begin')[0]!, page.split('<!-- errors:end -->')[1]!];
  expect(withErrorSections(page).startsWith(before)).toBe(true);
  expect(withErrorSections(page).endsWith(after)).toBe(true);
  expect(() => withErrorSections('nothing')).toThrow(/markers/);
});
