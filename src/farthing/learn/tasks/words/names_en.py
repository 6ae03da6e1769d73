"""English names: of people, places, firms, months."""

from farthing.learn.tasks.words import words

GIRLS = words("""
Abigail Ada Agnes Alice Alma Amanda Amber Amelia Amy Andrea Angela Anita Anna Annabel Audrey Ava
Barbara Beatrice Bella Bonnie Brenda Bridget Camilla Carmen Caroline Catherine Cecilia Celia
Chloe Clara Claire Cora Daisy Dana Daphne Dawn Deborah Delia Diana Donna Dora Edith Eleanor
Elena Elisa Elizabeth Ella Ellen Elsa Emily Emma Erica Esther Eva Evelyn Faith Fiona Flora
Frances Freya Gemma Georgia Gina Gloria Grace Greta Hanna Harriet Hazel Heather Helen Hilda
Holly Ida Imogen Ingrid Irene Iris Isabel Ivy Jane Janet Jasmine Jenny Jessica Jill Joan Joanna
Josephine Joyce Judith Julia Karen Kate Laura Layla Leah Lena Lily Linda Lisa Lois Louise Lucy
Lydia Mabel Maggie Margaret Maria Marie Martha Mary Matilda Maya Megan Mia Miriam Molly Monica
Nadia Nancy Naomi Natalie Nina Nora Olga Olive Olivia Pamela Patricia Paula Penelope Phoebe
Rachel Rebecca Rita Rosa Rose Ruby Ruth Sally Samantha Sandra Sara Selma Sheila Silvia Sophie
Stella Susan Sylvia Tamara Tara Teresa Tessa Tina Ursula Vera Victoria Viola Violet Wendy Willa
Yvonne Zara Zoe
""")

BOYS = words("""
Aaron Adam Adrian Alan Albert Alex Alfred Andrew Anthony Arnold Arthur Austin Barry Ben Bernard
Bill Boris Brian Bruce Bruno Calvin Carl Cedric Charles Chris Clement Colin Conrad Craig Cyril
Daniel David Dean Dennis Derek Dominic Donald Douglas Dylan Edgar Edmund Edward Edwin Eli Elliot
Emil Eric Ernest Ethan Eugene Evan Felix Finn Floyd Francis Frank Fred Gabriel Gareth Gavin
George Gerald Gilbert Glen Gordon Graham Grant Gregory Guy Harold Harry Hector Henry Herbert
Howard Hugh Hugo Ian Isaac Ivan Jack Jacob James Jason Jasper Jeremy Jerome Jim Joel John Jonas
Joseph Joshua Julian Keith Kenneth Kevin Kurt Lance Lars Lawrence Leo Leon Lewis Liam Lloyd
Louis Lucas Luke Malcolm Marcus Mark Martin Matthew Max Michael Miles Morris Nathan Neil
Nicholas Nigel Noah Noel Norman Oliver Oscar Otto Owen Patrick Paul Percy Peter Philip Quentin
Ralph Ray Richard Robert Robin Roger Roland Ronald Rory Ross Roy Rufus Rupert Russell Ryan
Samuel Scott Sean Sebastian Simon Stanley Stephen Stuart Theodore Thomas Timothy Toby Tom
Tristan Victor Vincent Wade Walter Warren Wesley William Xavier Zachary
""")

FIRST = GIRLS + BOYS

SURNAMES = words("""
Abbott Adams Allen Anderson Archer Armstrong Atkins Bailey Baker Baldwin Barker Barnes Barrett
Bates Baxter Bell Bennett Berry Bishop Black Blake Bond Booth Bowen Boyd Bradley Brooks Brown
Bryant Burke Burns Burton Butler Byrne Campbell Carpenter Carr Carter Chambers Chapman Clark
Clarke Clayton Cole Coleman Collins Conway Cook Cooper Cox Crawford Cross Curtis Dalton Daly
Daniels Davidson Davies Dawson Day Dean Dixon Doyle Drake Duncan Dunn Eaton Edwards Elliott
Ellis Evans Farmer Farrell Fisher Fleming Fletcher Flynn Ford Foster Fowler Fox Francis Franklin
Fraser Freeman Frost Fuller Gallagher Gardner Garner Gibbs Gibson Gilbert Glover Goodwin Gould
Graham Gray Green Griffin Hale Hall Hamilton Hancock Hansen Harding Hardy Harper Harris Hart
Harvey Hayes Henderson Hicks Higgins Hill Hobbs Holland Holmes Hooper Hopkins Howard Hudson
Hughes Hunt Hunter Hurst Ingram Irwin Jackson Jacobs James Jensen Johnson Jones Jordan Keller
Kelly Kemp Kennedy Kent Kerr King Knight Lamb Lambert Lane Larson Law Lawson Leach Lee Lewis
Lindsay Lloyd Long Lowe Lucas Lynch Mann Marsh Marshall Martin Mason Matthews May McKay Meyer
Miller Mills Mitchell Moore Moran Morgan Morris Murphy Murray Nash Neal Nelson Newman Newton
Nichols Noble Norris Norton Novak OBrien Oliver Olsen Osborne Owens Page Palmer Park Parker
Parsons Patterson Payne Pearce Perkins Perry Peters Phillips Pierce Poole Porter Potter Powell
Pratt Price Quinn Ramsey Randall Reed Reeves Reid Reynolds Rhodes Rice Richards Riley Roberts
Robinson Rogers Rose Rowe Russell Ryan Sanders Saunders Schmidt Scott Sharp Shaw Shepherd Short
Simpson Sims Skinner Slater Smith Snow Spencer Stanton Steele Stephens Stevens Stewart Stokes
Stone Sutton Swan Taylor Terry Thomas Thompson Thorne Todd Townsend Tucker Turner Tyler
Underwood Vance Vaughan Wagner Walker Wallace Walsh Ward Warner Waters Watkins Watson Watts Webb
Weber Webster Wells West Weston Wheeler White Wilkins Williams Willis Wilson Wood Woods Wright
Yates York Young
""")

CITIES = words("""
Aberdeen Adelaide Amsterdam Antwerp Athens Atlanta Auckland Austin Baltimore Bangkok Barcelona
Basel Beijing Belfast Belgrade Bergen Berlin Bilbao Birmingham Bologna Bordeaux Boston Bremen
Brighton Brisbane Bristol Brussels Bucharest Budapest Cairo Calgary Cambridge Canberra Cardiff
Chicago Cologne Copenhagen Cork Dallas Darwin Delhi Denver Detroit Dresden Dublin Dundee Durban
Durham Edinburgh Exeter Florence Frankfurt Galway Gdansk Geneva Genoa Ghent Glasgow Granada Graz
Hamburg Hanoi Helsinki Hobart Houston Istanbul Jakarta Kyoto Lagos Lausanne Leeds Leicester
Leipzig Lima Limerick Lisbon Liverpool London Lyon Madrid Malaga Manchester Manila Marseille
Melbourne Memphis Miami Milan Montreal Moscow Mumbai Munich Nairobi Nantes Naples Nashville
Newcastle Nice Norwich Nottingham Oakland Odense Orlando Osaka Oslo Ottawa Oxford Palermo Paris
Perth Phoenix Plymouth Portland Porto Prague Quebec Reading Riga Rome Rotterdam Salzburg
Santiago Seattle Seoul Seville Shanghai Sheffield Singapore Stockholm Stuttgart Sydney Tallinn
Tampa Tokyo Toronto Toulouse Trieste Tucson Turin Utrecht Valencia Vancouver Venice Verona
Vienna Vilnius Warsaw Wellington Winnipeg York Zagreb Zurich
""")

STREETS = words("""
Abbey Acorn Bank Beach Bridge Castle Cedar Chapel Cherry Church Clay Cliff Elm Field Forest
Garden Garrison Glen Harbour High Hill Holly Juniper King Lake Lime Linden Maple Market Meadow
Mill Mint Oak Orchard Park Pearl Pine Pond Prince Queen Quarry Railway Ridge River School Silver
Spring Station Temple Tower Valley Victoria Walnut Water Willow Windmill
""")
ROADS = words("Street Road Lane Avenue Drive Square Way")

FIRM_HEADS = words("""
Acme Alder Alpine Amber Anchor Apex Arrow Atlas Aurora Beacon Birch Bluebird Bright Cascade
Clover Cobalt Comet Copper Coral Crown Delta Eagle Echo Ember Evergreen Falcon Fern Forge Garnet
Granite Harbor Hawthorn Helix Horizon Iron Ivory Jade Juniper Keystone Lark Laurel Lion Lotus
Lunar Magnolia Maple Marble Meridian Mosaic Nimbus Noble North Nova Oak Olive Opal Orbit Orchid
Osprey Peak Pebble Phoenix Pioneer Polar Prairie Quartz Quill Raven Redwood Ridge River Robin
Saffron Sage Sapphire Sequoia Sierra Silver Solar Spruce Sterling Summit Swift Tidal Timber
Topaz Tulip Union Urban Vega Velvet Vista Willow Zenith Zephyr
""")
FIRM_TAILS = words("""
Books Builders Cafe Catering Clinic Consulting Designs Electric Energy Farms Films Foods
Furniture Garage Gardens Glass Holdings Hotels Insurance Labs Logistics Media Metals Motors
Paints Paper Partners Pharmacy Pictures Press Printing Robotics Software Solutions Stationers
Studio Supplies Systems Textiles Toys Trading Travel Works
""")
DOMAINS = words("""
example.com example.org mailbox.net post.org inbox.com quickmail.com homenet.org citymail.net
bluemail.com northpost.org letterbox.net fastmail.example
""")

MONTHS = words("""
January February March April May June July August September October November December
""")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
