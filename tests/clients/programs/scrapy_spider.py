import os
import sys

import scrapy
from scrapy.crawler import CrawlerProcess

os.environ["SSL_CERT_FILE"] = sys.argv[2]


class Spider(scrapy.Spider):
    name = "one"
    start_urls = (f"https://localhost:{sys.argv[1]}/",)

    def parse(self, response):
        print(response.text)
        seen.append(response)


seen = []
process = CrawlerProcess(
    {
        "DOWNLOADER_CLIENTCONTEXTFACTORY": "scrapy.core.downloader.contextfactory.BrowserLikeContextFactory",
        "RETRY_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
    }
)
process.crawl(Spider)
process.start()
sys.exit(not seen)
