import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OutputDirectory } from '../../lib/checkpoint/output/output-directory.js';
import { temporaryFolder } from '../places.js';
import { modelDirectory } from './files.js';

describe('OutputDirectory', () => {
  it('shows the result only when it is whole', async () => {
    const parent = await temporaryFolder();
    const output = await OutputDirectory.create(join(parent, 'deep', 'out'));
    await output.writeJson('ballast.json', { seed: 1 });
    expect(await readdir(join(parent, 'deep'))).toEqual([
      expect.stringMatching(/^out\.partial-[0-9a-f]{8}$/),
    ]);
    await output.commit();
    expect(await readdir(join(parent, 'deep'))).toEqual(['out']);
    const text = await readFile(join(parent, 'deep', 'out', 'ballast.json'), 'utf8');
    expect(JSON.parse(text)).toEqual({ seed: 1 });
    await output.discard();
    expect(await readdir(join(parent, 'deep'))).toEqual(['out']);
  });

  it('leaves nothing after discard', async () => {
    const parent = await temporaryFolder();
    const output = await OutputDirectory.create(join(parent, 'out'));
    await output.writeJson('config.json', {});
    await output.discard();
    expect(await readdir(parent)).toEqual([]);
  });

  it('takes tokenizer and generation files along, not the weights or the card', async () => {
    const source = await modelDirectory({
      'tokenizer.json': '{"t":1}',
      'generation_config.json': '{}',
      'chat_template.jinja': 'x',
      'model.safetensors': 'w',
      'README.md': 'card',
    });
    const output = await OutputDirectory.create(join(await temporaryFolder(), 'out'), {
      source,
    });
    const copied = ['tokenizer.json', 'generation_config.json', 'chat_template.jinja'];
    expect(await output.copyCompanions(source)).toEqual(copied);
    expect((await readdir(output.path)).sort()).toEqual(copied.sort());
    expect(await readFile(join(output.path, 'tokenizer.json'), 'utf8')).toBe('{"t":1}');
    await output.discard();
  });

  it('leaves no file read-only because its source is', async () => {
    const source = await modelDirectory({ 'tokenizer.json': '{}' });
    await chmod(join(source, 'tokenizer.json'), 0o444);
    const output = await OutputDirectory.create(join(await temporaryFolder(), 'out'));
    await output.copyCompanions(source);
    await output.writeJson('config.json', {});
    const modeOf = async (name: string) => (await stat(join(output.path, name))).mode;
    expect(await modeOf('tokenizer.json')).toBe(await modeOf('config.json'));
    await output.discard();
  });

  it('follows a link to an empty directory and leaves the link', async () => {
    const parent = await temporaryFolder();
    const [real, link] = [join(parent, 'real'), join(parent, 'link')];
    await mkdir(real);
    await symlink(real, link);
    const output = await OutputDirectory.create(link);
    await output.writeJson('config.json', {});
    await output.commit();
    expect(await readdir(real)).toEqual(['config.json']);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await readdir(parent)).sort()).toEqual(['link', 'real']);
  });

  it.skipIf(process.platform !== 'linux')('refuses where a volume is mounted', async () => {
    await expect(OutputDirectory.create('/proc')).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: expect.stringMatching(/a volume is mounted; choose .* such as \/proc\/result/),
    });
  });

  it('is refused before any work where nothing can be written', async () => {
    const parent = await temporaryFolder();
    await writeFile(join(parent, 'file'), '');
    const below = (...names: string[]) => OutputDirectory.expectUsable(join(parent, ...names), {});
    await expect(below('file', 'out')).rejects.toMatchObject({
      code: 'ERR_IO',
      message: expect.stringMatching(/out\): a part of the path is a file/),
    });
    await expect(below('a'.repeat(300), 'out')).rejects.toMatchObject({
      code: 'ERR_IO',
      message: expect.stringContaining('the name is too long'),
    });
    await below('to', 'be', 'made');
    expect(await readdir(parent)).toEqual(['file']);
  });

  it.skipIf(process.getuid?.() === 0)('so it is in a directory of others', async () => {
    const parent = await temporaryFolder();
    await chmod(parent, 0o555);
    await expect(
      OutputDirectory.expectUsable(join(parent, 'deep', 'out'), {}),
    ).rejects.toMatchObject({
      code: 'ERR_IO',
      message: expect.stringContaining('permission is denied'),
    });
    await chmod(parent, 0o755);
  });

  it('replaces an existing model only when asked', async () => {
    const record = JSON.stringify({ files: { 'old.txt': '', 'grid/old.txt': '' } });
    const target = await modelDirectory({ 'old.txt': 'old', 'ballast-export.json': record });
    await mkdir(join(target, 'grid'));
    await expect(OutputDirectory.create(target)).rejects.toThrow(/has files in it/);
    const output = await OutputDirectory.create(target, { overwrite: true });
    await output.writeJson('config.json', { new: true });
    expect(await readdir(target)).toContain('old.txt');
    await output.commit();
    expect(await readdir(target)).toEqual(['config.json']);
    const beside = await readdir(dirname(target));
    expect(beside.filter((name) => name.startsWith(basename(target)))).toEqual([basename(target)]);
  });

  it('never replaces what is no result, nor a result with something beside it', async () => {
    const model = await modelDirectory({});
    await expect(OutputDirectory.create(model, { overwrite: true })).rejects.toThrow(
      /has no ballast-export.json; it is left alone/,
    );
    const record = JSON.stringify({ files: { 'model.safetensors': '' } });
    const files = { 'ballast-export.json': record, 'model.safetensors': '', 'notes.txt': 'mine' };
    const target = await modelDirectory(files);
    await expect(OutputDirectory.create(target, { overwrite: true })).rejects.toThrow(
      /notes.txt is not part of it; move it/,
    );
    expect(await readdir(target)).toContain('notes.txt');
  });

  it('uses an empty directory, and never one that holds no result', async () => {
    const parent = await temporaryFolder();
    await mkdir(join(parent, 'empty'));
    const output = await OutputDirectory.create(join(parent, 'empty'));
    await output.writeJson('config.json', {});
    await output.commit();
    expect(await readdir(join(parent, 'empty'))).toEqual(['config.json']);
    await expect(OutputDirectory.create(parent, { overwrite: true })).rejects.toThrow(
      /no ballast-export.json; it is left alone/,
    );
  });

  it('refuses the model that is read, and a directory around it', async () => {
    const source = await modelDirectory({});
    const options = { overwrite: true, source };
    await expect(OutputDirectory.create(source, options)).rejects.toThrow(/other than the model/);
    const inner = join(source, 'inner');
    await mkdir(inner);
    const around = { overwrite: true, source: inner };
    await expect(OutputDirectory.create(source, around)).rejects.toThrow(/other than the model/);
  });

  it('gives one clear error for a target that cannot be written', async () => {
    const parent = await temporaryFolder();
    await writeFile(join(parent, 'file'), '');
    for (const target of [join(parent, 'file'), join(parent, 'file', 'out'), '/proc/ballast/out']) {
      await expect(OutputDirectory.create(target)).rejects.toMatchObject({ code: 'ERR_IO' });
    }
    expect(await readdir(parent)).toEqual(['file']);
  });

  it('restores nothing half-way when the target fills up during the run', async () => {
    const parent = await temporaryFolder();
    const target = join(parent, 'out');
    const output = await OutputDirectory.create(target);
    await mkdir(target);
    await writeFile(join(target, 'mine.txt'), 'mine');
    await expect(output.commit()).rejects.toThrow(/has files in it/);
    await output.discard();
    expect(await readdir(target)).toEqual(['mine.txt']);
  });
});

describe('config.json', () => {
  it('keeps floats that are whole numbers, which typed readers tell from integers', async () => {
    const source = await modelDirectory({
      'config.json':
        '{"cap": 30.0, "rope": {"theta": 1e4}, "size": 64, "list": [2.0], "eps": 1e-6}',
    });
    const output = await OutputDirectory.create(join(await temporaryFolder(), 'out'));
    const config = JSON.parse(await readFile(join(source, 'config.json'), 'utf8'));
    await output.writeConfig({ ...config, added: 1 }, source);
    await output.commit();
    const text = await readFile(join(output.target, 'config.json'), 'utf8');
    expect(text).toContain('"cap": 30.0,');
    expect(text).toContain('"theta": 10000.0\n');
    expect(text).toContain('"size": 64,');
    expect(text).toContain('"eps": 0.000001,');
    expect(JSON.parse(text)).toEqual({ ...config, added: 1 });
  });
});
