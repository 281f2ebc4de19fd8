-- Two apps: shop has been deployed three times, the last time in vain; blog once.
INSERT INTO apps (id, name, repo_url, created_at) VALUES
	(1, 'shop', 'https://github.com/example/shop', now() - interval '9 days'),
	(2, 'blog', 'https://github.com/example/blog', now() - interval '2 days');

INSERT INTO deployments (id, app_id, status, image_name, subdomain, build_log, error, created_at)
VALUES
	(7, 2, 'running', 'mvp/blog:7', 'blog-7', 'Step 1/5 : FROM node:18 …', NULL,
		now() - interval '2 days'),
	(41, 1, 'running', 'mvp/shop:41', 'shop-41', 'Step 1/5 : FROM golang:1.21 …', NULL,
		now() - interval '3 hours'),
	(42, 1, 'running', 'mvp/shop:42', 'shop-42', 'Step 1/5 : FROM golang:1.21 …', NULL,
		now() - interval '1 hour'),
	(43, 1, 'failed', 'mvp/shop:43', 'shop-43', 'Step 3/5 : RUN go build …', 'exit status 2',
		now() - interval '5 minutes');

SELECT setval('apps_id_seq', 2), setval('deployments_id_seq', 43);
