// Links between the documents lead to files and headings that exist.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const documents = [root, join(root, 'docs'), join(root, 'docs/design')].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

/** Headings' anchors as GitLab and GitHub make them: lower case, without punctuation, dashes for spaces. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function leadsNowhere(file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? file : join(dirname(file), path);
  if (!existsSync(target)) return true;
  return anchor !== undefined && !anchorsOf(target).includes(anchor);
}

test.each(documents)('%s has no link that leads nowhere', (file) => {
  const text = readFileSync(file, 'utf8');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
    ([, link, image]) => link ?? image ?? '',
  );
  const own = links.filter((link) => !/^https?:/.test(link));
  expect(own.filter((link) => leadsNowhere(file, link))).toEqual([]);
});

/** Headings of one section that are there twice, as merges leave them. */
function headingsTwice(section: string): string[] {
  const found = section.replaceAll(/^```.*?^```/gms, '').matchAll(/^#{2,3} .*$/gm);
  const headings = [...found].map(([heading]) => heading);
  return headings.filter((heading, index) => headings.indexOf(heading) !== index);
}

test.each(documents)('%s has no heading twice', (file) => {
  const text = readFileSync(file, 'utf8');
  // In the changelog each version has its own kinds of changes.
  const sections = file.endsWith('CHANGELOG.md') ? text.split(/^(?=## )/m) : [text];
  expect(sections.flatMap(headingsTwice)).toEqual([]);
});
