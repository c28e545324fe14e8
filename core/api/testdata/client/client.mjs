// What the official client does with a content API: node client.mjs BASE TOKEN
import assert from 'node:assert/strict';
import { strapi } from '@strapi/client';

const [, , baseURL, auth] = process.argv;
const client = strapi({ baseURL, auth });
const articles = client.collection('articles');
const check = async (what, f) => {
  try {
    await f();
    console.log('ok ' + what);
  } catch (error) {
    console.log('not ok ' + what + ': ' + error.stack);
    process.exitCode = 1;
  }
};
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

await check('find', async () => {
  const { data, meta } = await articles.find({
    filters: { $or: [{ title: { $startsWith: 'Alpha' } }, { tags: { name: { $in: ['go'] } } }], createdAt: { $gt: new Date(0) } },
    sort: ['views:desc'], fields: ['title', 'views'], populate: { tags: { fields: ['name'] }, author: true }, pagination: { page: 2, pageSize: 3 },
  });
  assert.equal(data.length, 3);
  assert.deepEqual({ page: meta.pagination.page, pageSize: meta.pagination.pageSize }, { page: 2, pageSize: 3 });
  assert.ok(data[0].views > data[1].views && data[0].tags.length === 2 && 'author' in data[0] && !('body' in data[0]));
});
await check('find drafts, all of everything', async () => {
  const { data } = await articles.find({ status: 'draft', populate: '*', pagination: { start: 0, limit: 2, withCount: false } });
  assert.ok(data.length === 2 && data[0].publishedAt === null && data[0].tags.length === 2);
});
let one;
await check('create', async () => {
  ({ data: one } = await articles.create({ title: 'by the client', views: 1, rating: 0.5, published: '2026-05-05' }));
  assert.equal(one.title, 'by the client');
});
await check('findOne', async () => assert.deepEqual((await articles.findOne(one.documentId)).data, one));
await check('update, with relations', async () => {
  const { data: tags } = await client.collection('tags').find({ filters: { name: 'css' } });
  const { data } = await articles.update(one.documentId, { views: 2, tags: { connect: [tags[0].documentId] } }, { populate: ['tags'] });
  assert.equal(data.views, 2);
  assert.deepEqual(data.tags.map((tag) => tag.name), ['css']);
});
await check('delete', async () => {
  await articles.delete(one.documentId);
  await assert.rejects(articles.findOne(one.documentId), { name: 'HTTPNotFoundError' });
});
await check('single type', async () => {
  const homepage = client.single('homepage');
  assert.equal((await homepage.find()).data.heading, 'Hello');
  assert.equal((await homepage.update({ heading: 'Good day' })).data.heading, 'Good day');
  await homepage.delete();
  await assert.rejects(homepage.find(), { name: 'HTTPNotFoundError' });
});
await check('users', async () => {
  const users = client.collection('users');
  const dave = await users.create({ username: 'dave', email: 'dave@lab.test', password: 'Secret123', role: 1 });
  assert.ok(dave.id && dave.username === 'dave' && !('password' in dave));
  assert.equal((await users.find({ filters: { username: 'dave' } })).length, 1);
  assert.equal((await users.findOne(dave.id)).email, 'dave@lab.test');
  assert.equal((await users.update(dave.id, { username: 'david' })).username, 'david');
  await users.delete(dave.id);
});
await check('errors', async () => {
  const error = await articles.create({ views: 'abc' }).catch((error) => error);
  assert.equal(error.name, 'HTTPBadRequestError');
  assert.deepEqual((await error.response.json()).error.details.errors.map((one) => one.path[0]), ['views']);
  await assert.rejects(strapi({ baseURL, auth: 'wrong' }).collection('articles').find(), { name: 'HTTPAuthorizationError' });
  await assert.rejects(strapi({ baseURL }).collection('users').find(), { name: 'HTTPForbiddenError' });
});
await check('files', async () => {
  const [file] = await client.files.upload(png, { filename: 'dot.png', mimetype: 'image/png', fileInfo: { alternativeText: 'a dot' } });
  assert.ok(file.id && file.mime === 'image/png' && file.alternativeText === 'a dot');
  assert.equal((await client.files.find({ filters: { mime: { $contains: 'png' } } })).length, 1);
  assert.equal((await client.files.findOne(file.id)).url, file.url);
  assert.equal((await client.files.update(file.id, { name: 'point.png' })).name, 'point.png');
  const bytes = Buffer.from(await (await fetch(new URL(file.url, baseURL))).arrayBuffer());
  assert.ok(bytes.equals(png));
  await client.files.delete(file.id);
  await assert.rejects(client.files.findOne(file.id), { name: 'FileNotFoundError' });
});
