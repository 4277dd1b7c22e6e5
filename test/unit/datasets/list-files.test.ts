import { mkdir, symlink } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { listFiles } from '../../../datasets/list-files.ts';
import { useTemporaryFolder } from './temporary-folder.ts';

const { at, write } = useTemporaryFolder();

async function touch(...names: string[]): Promise<void> {
  for (const name of names) await write(name, 'x');
}

describe('listFiles', () => {
  it('lists by code point, with sub-folders and without hidden files', async () => {
    await touch(
      'd/b.png',
      'd/B.png',
      'd/a/z.png',
      'd/ä.png',
      'd/a.png',
      'd/.hidden.png',
      'd/.git/x.png',
      'd/10.png',
      'd/9.png',
    );
    const { files } = await listFiles(at('d'));
    expect(files).toEqual(['10.png', '9.png', 'B.png', 'a.png', 'a/z.png', 'b.png', 'ä.png']);
  });

  it('takes globs, in any case, and leaves out those with an exclamation mark', async () => {
    await touch('d/a.JPG', 'd/b.png', 'd/bad/c.jpg', 'd/good/d.jpg', 'd/[x] (1).jpg');
    expect((await listFiles(at('d'), ['**/*.jpg', '!bad/**'])).files).toEqual(['[x] (1).jpg', 'a.JPG', 'good/d.jpg']);
    expect((await listFiles(at('d'), ['!**/*.jpg'])).files).toEqual(['b.png']);
  });

  it('follows links to files and folders, each real folder once, and ends in loops', async () => {
    await touch('d/a/1.png', 'elsewhere/2.png', 'elsewhere/deep/3.png', 'single.png');
    await symlink(at('d'), at('d/a/loop')); // up
    await symlink(at('.'), at('d/around')); // above the root
    await symlink(at('elsewhere'), at('d/linked'));
    await symlink(at('elsewhere/deep'), at('d/linked-again'));
    await symlink(at('d/a'), at('elsewhere/back'));
    await symlink(at('single.png'), at('d/one.png'));
    await symlink(at('nowhere'), at('d/broken'));
    const { files, linksNotFollowed } = await listFiles(at('d'));
    expect(files.filter((name) => name.endsWith('.png'))).toEqual([
      'a/1.png',
      'linked/2.png',
      'linked/deep/3.png',
      'one.png',
    ]);
    expect(linksNotFollowed).toEqual(['a/loop', 'around', 'linked-again', 'linked/back']);
  });

  it('ends where folders link to each other in every way', async () => {
    const folders = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of folders) await touch(`root/${name}/${name}.png`);
    for (const from of folders) for (const to of folders) await symlink(at(`root/${to}`), at(`root/${from}/to-${to}`));
    expect((await listFiles(at('root'))).files).toHaveLength(6);
  });

  it('says what is wrong with a folder or a pattern', async () => {
    await touch('file.png');
    await mkdir(at('empty'));
    await expect(listFiles(at('none'))).rejects.toThrow(`There is no folder ${at('none')}; check the data set's path.`);
    await expect(listFiles(at('file.png'))).rejects.toThrow('it is a file; name its folder.');
    await expect(listFiles(at('empty'), ['../**'])).rejects.toThrow(
      'The pattern "../**" leaves the data set\'s folder',
    );
    expect((await listFiles(at('empty'))).files).toEqual([]);
  });
});
